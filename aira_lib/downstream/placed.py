"""The folder of evaluation data on this machine, wherever a study says that it lies."""

from pathlib import Path

from aira_lib.downstream.data import data_folder
from aira_lib.errors import StoreError
from aira_lib.settings import scratch_folder
from aira_lib.store import open_store
from aira_lib.study import digest


def data_here(named: str) -> Path:
    """The local folder of evaluation data; one in a bucket is copied below the scratch folder, once for what it holds.

    Args:
        named: a local folder, s3://BUCKET/PREFIX, or "": where `make eval-data` puts them.

    Raises:
        StoreError: the store refuses, or nothing is there.
    """
    if "://" not in named:
        return data_folder(named)
    store = open_store(named)
    tags = store.tags()
    if not tags:
        raise StoreError(f"{store.uri}: no evaluation data there; copy the folder that `make eval-data` fills to it")
    folder = scratch_folder() / "evaluation-data-of-stores" / digest([store.uri, tags])[:16]
    for name in tags:
        if not (folder / name).is_file():
            store.get(name, folder / name)
    return folder
