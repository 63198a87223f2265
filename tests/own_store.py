"""A store of somebody's own, in a module outside the package: a shelf, whose files are worked on elsewhere."""

from pathlib import Path

from aira_lib.store.local import FileStore
from aira_lib.store.opening import STORES


class Shelf(FileStore):
    """A folder under a scheme of its own, from which files are copied and to which they are put, as with a bucket."""

    @property
    def uri(self) -> str:
        return f"shelf://{self.root}"

    def local(self, prefix: str, scratch: Path) -> Path:
        """Not the shelf itself."""
        return scratch / "shelf" / prefix


STORES.add("shelf", lambda uri: Shelf(Path(uri.removeprefix("shelf://"))))
