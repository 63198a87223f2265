"""Where records are kept: the same behaviour on a file system and on S3; what is visible is whole."""

from aira_lib.store.base import Store, open_store
from aira_lib.store.record import RecordFolder

__all__ = ["RecordFolder", "Store", "open_store"]
