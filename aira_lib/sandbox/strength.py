"""How strongly this machine lets us isolate a candidate: found out once, by trying."""

import functools
import itertools
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

from aira_lib.sandbox.family import kill_family
from aira_lib.sandbox.launch import Isolation, closes_files, launch

_OPEN_FILES = (
    "CANDIDATES SEE ALL FILES on this machine: a private view of the file system is refused here, so they read and "
    "write what this user may, keys and records included. Install bubblewrap, or run trusted agents only."
)
_NONE = (
    "AGENT CODE IS NOT ISOLATED on this machine: namespaces are refused, so candidates can reach the network, all "
    "files of this user, and other processes and their environment (keys); only time, memory, disk and output limits "
    "hold. Run trusted agents only."
)


@functools.cache
def isolation() -> Isolation:
    """Return the strongest isolation that works here, warning loudly (once) when files are open or there is none.

    - "bubblewrap": where it is installed;
    - "namespaces": a privileged user's own namespaces for network, processes, mounts and IPC, and a private root;
    - "user namespaces": the same without privilege;
    - the same two with ", open files": the machine's own file system (before Linux 5.12, or where mounts are refused);
    - "none": only limits and a clean environment.
    """
    strength: Isolation = next((each for each in ladder() if works(each)), "none")
    if not closes_files(strength):
        warnings.warn(_NONE if strength == "none" else _OPEN_FILES, RuntimeWarning, stacklevel=2)
    return strength


def ladder() -> tuple[Isolation, ...]:
    """The strengths worth trying, best first."""
    if sys.platform != "linux":
        return ()
    bubblewrap: tuple[Isolation, ...] = ("bubblewrap",) if shutil.which("bwrap") else ()
    if os.geteuid() != 0:
        return (*bubblewrap, "user namespaces", "user namespaces, open files")
    namespaces: tuple[Isolation, ...] = ("namespaces", "user namespaces")
    return (*bubblewrap, *namespaces, "namespaces, open files", "user namespaces, open files")


def works(strength: Isolation) -> bool:
    """Try a strength: this Python starts with its packages and, where files are closed, does not see ours."""
    return not why_not(strength)


def why_not(strength: Isolation) -> str:
    """What is wrong with a strength on this machine; empty if it works."""
    if strength == "bubblewrap" and not shutil.which("bwrap"):
        return "bwrap is not installed"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        (folder / "secret").touch()
        (folder / "work").mkdir()
        found = repr(str(folder / "secret")) if closes_files(strength) else "''"
        check = f"import os, sys; open('mine', 'w').close(); sys.exit(os.path.exists({found}))"
        launched = launch([sys.executable, "-I", "-B", "-c", check], folder / "work", strength, {})
        try:
            with open(launched.report, "rb") as report:
                kind, _, told = report.readline().decode("utf-8", "replace").strip().partition(" ")
                code = told.partition(" ")[0]
        finally:
            kill_family(launched.process.pid)
            errors = launched.process.communicate()[1].decode("utf-8", "replace").strip()
    if (kind, code) == ("exit", "0"):
        return ""
    if kind == "setup":
        return told
    return errors.splitlines()[-1] if errors else "Python does not start there, or sees files that it should not"


def refusals() -> dict[str, str]:
    """Why each strength above the one in use (`isolation`) does not work here."""
    used = isolation()
    above = itertools.takewhile(lambda each: each != used, ladder())
    wanted = dict.fromkeys(("bubblewrap", *above) if used != "bubblewrap" and sys.platform == "linux" else above)
    return {each: why_not(each) or "it works only at times" for each in wanted}
