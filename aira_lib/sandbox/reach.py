"""Whether agents' code may run here: not where nothing isolates it and secrets are within its reach.

What is within reach is found out as all else here, by trying: a process started as candidates are looks for it.
"""

import functools
import glob
import json
import os
import sys
import tempfile
import warnings
from pathlib import Path

from aira_lib.sandbox.candidate import isolation
from aira_lib.sandbox.family import kill_family
from aira_lib.sandbox.launch import launch
from aira_lib.sandbox.process import SandboxError
from aira_lib.sandbox.servers import METADATA_SERVICE, cluster_api
from aira_lib.sandbox.spy import in_environment, in_files
from aira_lib.settings import TRUST_AGENTS, trusts_agents

_SPY = Path(__file__).with_name("spy.py")
_NAMED = 4  # findings in the line of the error
# Service accounts of Kubernetes and of clouds, secrets that container engines mount.
_MOUNTED = (
    "/var/run/secrets/*/serviceaccount/*token", "/var/run/secrets/tokens/*", "/var/run/secrets/*/tokens/*",
    "/var/run/secrets/*/*/token", "/run/secrets/*",
)  # fmt: skip
_OF_A_USER = (
    ".aws/credentials", ".aws/sso/cache/*.json", ".azure/*token*", ".azure/msal_token_cache*",
    ".config/gcloud/credentials.db", ".config/gcloud/application_default_credentials.json", ".config/gh/hosts.yml",
    ".kube/config", ".ssh/id_*", ".netrc", ".git-credentials", ".pypirc", ".cache/huggingface/token",
    ".huggingface/token", ".kaggle/kaggle.json", ".mlflow/credentials", ".env",
)  # fmt: skip
_NAMED_BY = ("AWS_SHARED_CREDENTIALS_FILE", "GOOGLE_APPLICATION_CREDENTIALS", "KUBECONFIG", "HF_TOKEN_PATH")


def check_reach() -> None:
    """Refuse to run agents' code without isolation where secrets are within its reach, unless agents are trusted.

    Raises:
        SandboxError: one line that names what is within reach, and what to do.
    """
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        strength = isolation()
    if strength == "none" and not trusts_agents() and (found := within_reach()):
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        raise SandboxError(
            "agents' code cannot be isolated on this machine (`aira doctor` says why), and secrets are within its "
            f"reach: {', '.join(found[:_NAMED])}{more}; allow namespaces, run where there are no secrets, on a cluster "
            f"give candidates pods of their own (docs/sandbox.md), or say --trust-agents ({TRUST_AGENTS}=1 in a pod) "
            "if you trust whatever the model writes"
        )
    for each in warned:
        warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


@functools.cache
def within_reach() -> tuple[str, ...]:
    """What looks like a secret and could be read by a candidate that nothing isolates; names, no values."""
    if sys.platform != "linux":  # no /proc; other ways to the environment of this user's processes
        return (*(f"{name} (environment)" for name in in_environment(os.environ)), *in_files(_patterns()))
    with tempfile.TemporaryDirectory() as folder:
        asked = {"files": _patterns(), "servers": _servers()}
        command = [sys.executable, "-I", "-S", "-B", str(_SPY), json.dumps(asked)]
        launched = launch(command, Path(folder).resolve(), "none", {})
        try:
            with open(launched.report, "rb") as report:
                report.readline()
        finally:
            kill_family(launched.process.pid)
            told, errors = launched.process.communicate()
    try:
        return tuple(json.loads(told))
    except ValueError:
        why = errors.decode("utf-8", "replace").strip().splitlines() or ["Python does not start"]
        raise SandboxError(f"no candidate can be run on this machine: {why[-1]}") from None


def _servers() -> dict[str, tuple[str, int]]:
    """What is asked in a pod, whose processes share its network."""
    api = cluster_api()
    if api is None:
        return {}
    return {
        f"the services of this cluster (its API at {api[0]}:{api[1]} answers)": api,
        f"the metadata service of this cloud ({METADATA_SERVICE[0]} answers)": METADATA_SERVICE,
    }


def _patterns() -> list[str]:
    home = glob.escape(str(Path.home()))
    named = [os.environ[name] for name in _NAMED_BY if os.environ.get(name)]
    literal = map(glob.escape, (os.path.abspath(".env"), *named))
    return [*_MOUNTED, *(f"{home}/{name}" for name in _OF_A_USER), *literal]
