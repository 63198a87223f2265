"""The same view of the file system by means of bubblewrap (https://github.com/containers/bubblewrap)."""

import shutil

from aira_lib.sandbox.view import SHARED_MEMORY_MB, View


def wrapper(view: View) -> list[str]:
    """The command line in front of a command that is to be the first process of its own namespaces.

    No user or capability is gained: all capabilities are dropped, and it dies with the process that started it.
    """
    program = shutil.which("bwrap") or "bwrap"
    flags = ["--unshare-all", "--die-with-parent", "--as-pid-1", "--cap-drop", "ALL"]
    return [program, *flags, *_file_system(view), "--chdir", "/", "--"]


def _file_system(view: View) -> list[str]:
    words = ["--proc", "/proc", "--remount-ro", "/proc"]
    for device in view.devices:
        words += ["--dev-bind-try", device, device]
    words += ["--perms", "1777", "--size", str(SHARED_MEMORY_MB << 20), "--tmpfs", "/dev/shm"]
    for path in view.readonly:
        words += ["--ro-bind", path, path]
    for name, target in view.links:
        words += ["--symlink", target, name]
    for folder in view.hidden:
        words += ["--tmpfs", folder, "--remount-ro", folder]
    for path in view.emptied:
        words += ["--dev-bind", "/dev/null", path]
    words += ["--bind", view.work, view.work]
    for source, target in view.data:
        words += ["--ro-bind", source, target]
    return [*words, "--remount-ro", "/"]
