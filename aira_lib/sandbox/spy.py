"""What looks like a secret among what a process can read: in the environments of processes, at well-known places, in
volumes of Kubernetes; and which servers answer that candidates should not reach.

It runs as a candidate would (see reach.py), so it tells what a candidate could read, not what this user could. Names
alone are told, never a value. Nothing of this project, and of the standard library only what starts fast.

The argument is JSON: `files`, patterns of them, and `servers`, a name for each address that should not answer. It
prints a JSON list, a finding an entry.
"""

import glob
import json
import os
import re
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping

MOST = 50  # findings told
_SECONDS = 0.5  # for an answer of the network that this machine is in
_OF_ANY_POD = ("ca.crt", "namespace")  # lie beside a token, and are no secret
_NO_SECRETS = (".pub", ".repo")  # the public halves of keys; lists of packages, which engines mount beside secrets
_SHORTEST = 8  # characters of a key; shorter ones are words such as "local", with which servers without keys are called
# An image of Python names the public key of its releases in GPG_KEY.
_KEY = re.compile(r"(?:^|_)(?:API_?KEY|ACCESS_KEY|SECRETS?|TOKEN|CREDENTIALS?)(?:_|$)|(?<!GPG)_KEY$|^SSH_AUTH_SOCK$")
_PASSWORD = re.compile(r"(?:^|_)(?:PASSWORD|PASSWD|PASSPHRASE)(?:_|$)")
_URL_WITH_PASSWORD = re.compile(r"://[^/@\s:]*:[^/@\s]+@")


def main() -> None:
    """Look, and print."""
    asked = json.loads(sys.argv[1])
    found = [*in_processes(), *in_files(asked["files"]), *in_volumes()]
    found += that_answer(asked["servers"])
    print(json.dumps([*dict.fromkeys(found)][:MOST]))


def in_processes() -> Iterator[str]:
    """Secrets in the environments of processes, each variable with the first process that has it."""
    holders: dict[str, str] = {}
    for process in sorted(filter(str.isdigit, os.listdir("/proc")), key=int):
        try:
            with open(f"/proc/{process}/environ", "rb") as file:
                entries = file.read().decode("utf-8", "replace").split("\0")
        except OSError:
            continue
        for name in in_environment(dict(entry.split("=", 1) for entry in entries if "=" in entry)):
            holders.setdefault(name, process)
    return (f"{name} (environment of process {process})" for name, process in holders.items())


def in_environment(environment: Mapping[str, str]) -> Iterator[str]:
    """The variables that look like secrets, by their names, or since their value is an address with a password."""
    for name, value in environment.items():
        upper = name.upper()
        if (
            (_KEY.search(upper) and len(value) >= _SHORTEST)
            or (_PASSWORD.search(upper) and value)
            or _URL_WITH_PASSWORD.search(value)
        ):
            yield name


def in_files(patterns: Iterable[str]) -> Iterator[str]:
    """The regular files that can be read and are not empty."""
    for pattern in patterns:
        for path in sorted(glob.glob(pattern)):
            if path.endswith(_NO_SECRETS) or not os.path.isfile(path):  # a pipe would have us wait for its writer
                continue
            try:
                with open(path, "rb") as file:
                    if file.read(1):
                        yield path
            except OSError:
                continue


def in_volumes(mounts: str = "/proc/self/mounts") -> Iterator[str]:
    """The files of volumes of secrets and tokens: folders in memory whose files lie behind a link of Kubernetes.

    Args:
        mounts: The kernel's list of them.
    """
    try:
        with open(mounts, encoding="utf-8", errors="replace") as file:
            lines = [line.split() for line in file]
    except OSError:
        return
    for _, folder, kind, *_ in lines:
        folder = folder.replace("\\040", " ")
        if kind == "tmpfs" and os.path.islink(f"{folder}/..data"):
            for path in in_files([f"{glob.escape(folder)}/*"]):
                if os.path.basename(path) not in _OF_ANY_POD:
                    yield path


def that_answer(servers: Mapping[str, tuple[str, int]]) -> Iterator[str]:
    """The names of servers to which a connection can be made."""
    for name, (host, port) in servers.items():
        if _connects(host, port):
            yield name


def _connects(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), _SECONDS).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
