"""What a candidate sees of the file system: a minimal root, listed here and nowhere else.

Only what Python needs to run is there, read-only: system libraries and programs, this Python and the packages of its
environment, a handful of files of /etc. The work directory alone can be written to. Everything keeps its own path, for
environments have theirs built in; the folders above are empty but for what is listed. So an environment that lies in
a home or in a project's checkout is seen, and neither the home nor the checkout is.
"""

import functools
import os
import re
import site
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aira_lib.sandbox.gpu import Gpu

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
LINKS = (
    ("/dev/fd", "/proc/self/fd"),
    *((f"/dev/{name}", f"/dev/fd/{number}") for number, name in enumerate(("stdin", "stdout", "stderr"))),
)
SHARED_MEMORY_MB = 64  # /dev/shm, which the locks of multiprocessing need

_LIBRARIES = ("bin", "sbin", "lib", "lib32", "lib64", "libx32", "libexec")
_SYSTEM = (
    *(f"/{name}" for name in _LIBRARIES),
    *(f"/usr/{name}" for name in _LIBRARIES),
    *(f"/usr/local/{name}" for name in _LIBRARIES),
    "/nix/store",
    "/usr/share/zoneinfo",
    *(f"/etc/{name}" for name in ("alternatives", "group", "ld.so.cache", "localtime", "nsswitch.conf", "passwd")),
)
# Not the whole prefix: an environment made with `python -m venv .` has the project itself as its prefix.
_OF_A_PREFIX = ("bin", "lib", "lib32", "lib64", "pyvenv.cfg")
_OF_A_PACKAGE = "py|pyc|so|zip|whl|egg|tgz|tar|gz|bz2|xz"  # how names of files end that hold one
_PROJECT = Path(__file__).parents[1]
NO_GPU = Gpu()


@dataclass(frozen=True)
class View:
    """What is seen, each at its own path.

    `readonly` files and folders first, none within another; `links` are (name, target) pairs; `hidden` folders are
    covered by empty ones and `emptied` files by nothing; `work` alone is writable; then `data`, (source, target) pairs
    within it, read-only.
    """

    readonly: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    hidden: tuple[str, ...]
    work: str
    data: tuple[tuple[str, str], ...]
    emptied: tuple[str, ...] = ()
    devices: tuple[str, ...] = DEVICES


def view_of(workdir: Path, data: Mapping[str, Path], gpu: Gpu = NO_GPU, hides: Sequence[str] = ()) -> View:
    """The view of a candidate.

    Args:
        workdir: Its work directory, resolved.
        data: Files and folders by the name, relative to the work directory, under which they are seen.
        gpu: The GPUs that it sees.
        hides: Names of packages that it does not see, wherever a copy of them lies (see `copies_of`).
    """
    readonly, links = mounts((*_SYSTEM, *_environment(), *package_folders(), *gpu.readonly))
    placed = tuple((os.path.realpath(source), str(workdir / name)) for name, source in sorted(data.items()))
    devices = (*DEVICES, *gpu.devices)
    copies = [copy for name in hides for copy in copies_of(name, readonly)]
    closed = hidden(readonly, _PROJECT, *(copy for copy in copies if copy.is_dir()))
    files = [*finders(tuple(site.getsitepackages())), *(os.path.realpath(copy) for copy in copies if copy.is_file())]
    covered = tuple(path for path in dict.fromkeys(files) if _within(path, readonly) and not _within(path, closed))
    return View(readonly, (*LINKS, *links), closed, str(workdir), placed, covered, devices)


def package_folders() -> tuple[str, ...]:
    """The folders of PYTHONPATH into which packages were installed (`pip install --target`).

    Others, such as a project's checkout, are not for candidates.
    """
    folders = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if os.path.isabs(folder)]
    return tuple(folder for folder in folders if next(Path(folder).glob("*.dist-info"), None))


def _environment() -> tuple[str, ...]:
    """This Python installation and the packages of its environment."""
    prefixes = dict.fromkeys((sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix))
    return tuple(os.path.join(prefix, name) for prefix in prefixes for name in _OF_A_PREFIX)


@functools.cache
def mounts(wanted: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """The real paths of those that exist, and links for the names that lead to them through links.

    What lies within another is left out: it is seen with it.
    """
    existing = sorted({path for path in wanted if os.path.exists(path)})
    real = sorted({os.path.realpath(path) for path in existing})
    real = [path for path in real if not _within(path, real)]
    names = [path for path in existing if os.path.realpath(path) != path and not _within(path, (*existing, *real))]
    return tuple(real), tuple((name, os.path.realpath(name)) for name in names)


def hidden(readonly: tuple[str, ...], *folders: Path) -> tuple[str, ...]:
    """Those folders that would be seen: an installed package of this project lies among all the others.

    One within another is hidden with it.
    """
    real = sorted({os.path.realpath(folder) for folder in folders})
    return tuple(folder for folder in real if _within(folder, readonly) and not _within(folder, real))


@functools.cache
def copies_of(package: str, readonly: tuple[str, ...]) -> tuple[Path, ...]:
    """Folders of a package's name below others, of each Python of the system and of programs that bring their own; also
    files, where it is a single module, or lies there as an archive such as a wheel.

    It looks at all that is seen, which takes a second or two, once a process.

    Args:
        package: Its name; a `*` in it stands for any letters, digits and _.
        readonly: What is looked through.
    """
    name = re.escape(package).replace(r"\*", r"\w*")
    folder_of, file_of = re.compile(name), re.compile(rf"{name}([-.].*)?\.({_OF_A_PACKAGE})")
    found = []
    for folder in readonly:
        for here, folders, files in os.walk(folder):
            own = [each for each in folders if folder_of.fullmatch(each)]
            folders[:] = [each for each in folders if each not in own]
            found += [Path(here, each) for each in (*own, *filter(file_of.fullmatch, files))]
    return tuple(found)


@functools.cache
def finders(folders: tuple[str, ...]) -> tuple[str, ...]:
    """The files by which an editable installation has each Python import a finder of this project when it starts.

    It finds nothing where the project is not seen, and takes longer than all else that Python does at its start.

    Args:
        folders: Where packages are installed.
    """
    found = []
    for folder in folders:
        for path in Path(folder).glob("__editable__*.pth"):
            names = re.findall(r"import (\w+)", path.read_text(encoding="utf-8", errors="replace"))
            modules = (Path(folder, f"{name}.py") for name in names[:1])
            if any(module.is_file() and f"'{_PROJECT.name}':" in module.read_text("utf-8") for module in modules):
                found.append(os.path.realpath(path))
    return tuple(found)


def _within(path: str, others: Iterable[str]) -> bool:
    return any(path.startswith(other + os.sep) for other in others)
