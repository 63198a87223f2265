"""The sources that a candidate's pod gets before the candidate: what runs there is of the version that asked for it.

All of it needs Python and its standard library alone, 3.11.4 or newer, so an image for candidates holds what candidates
import, and nothing of this project.
"""

import functools
import io
import tarfile
from pathlib import Path

# What `within` imports, and what these import. The two packages are empty there: theirs import the whole library.
_MODULES = (
    "device", "errors", "foreign",
    *(f"sandbox/{name}" for name in (
        "artefacts", "bootstrap", "bubblewrap", "calls", "family", "frames", "gpu", "launch", "laying", "output",
        "process", "servers", "sockets", "strength", "view", "watch", "within",
    )),
)  # fmt: skip
_PACKAGES = ("", "sandbox/")
_LIBRARY = Path(__file__).parents[1]

START = (
    "import io, sys, tarfile; sources, size = sys.argv[1], int(sys.stdin.buffer.readline()); "
    "filters = {'filter': 'data'} if hasattr(tarfile, 'data_filter') else {}; "  # Python 3.11.4 brought them
    "tarfile.open(fileobj=io.BytesIO(sys.stdin.buffer.read(size))).extractall(sources, **filters); "
    "sys.path.insert(0, sources); from aira_lib.sandbox import within; within.main()"
)
"""The program of the exec; its argument is a folder for the sources. They come first on its input: their size on a
line, then a tar archive."""


@functools.cache
def bundle() -> bytes:
    """The sources, as the first input of `START`."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for package in _PACKAGES:
            _add(tar, f"{package}__init__.py", b"")
        for name in _MODULES:
            _add(tar, f"{name}.py", (_LIBRARY / f"{name}.py").read_bytes())
    content = packed.getvalue()
    return f"{len(content)}\n".encode() + content


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(f"{_LIBRARY.name}/{name}")
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))
