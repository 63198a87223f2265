"""Where records are kept: the same behaviour on a file system and on S3; what is visible is whole."""

from aira_lib.store.attempt import Attempt, LostClaim
from aira_lib.store.base import Holder, Store
from aira_lib.store.opening import open_store, place_of
from aira_lib.store.record import RecordFolder

__all__ = ["Attempt", "Holder", "LostClaim", "RecordFolder", "Store", "open_store", "place_of"]
