"""The connection to MLflow: quiet, with little patience, and to a database that is made whole or not at all."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from aira_lib.track.address import sqlite_address, sqlite_file

# MLflow retries for minutes by default; here whatever fails is carried the next time, so the work need not wait.
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # MLflow may import it, and it would ask a server for prices
}


def connect(tracking_uri: str) -> Any:
    """An `mlflow.MlflowClient` that gives up soon and asks nobody else; the folder of a new SQLite file is made.

    Raises:
        OSError: no such file can be made.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    database = sqlite_file(tracking_uri)
    if database and not database.exists():
        create(database)
    return mlflow.MlflowClient(tracking_uri)


def create(database: Path) -> None:
    """Make an SQLite database under another name first: one whose making was cut off could never be opened again.

    In a process of its own, because MLflow keeps its connections to the file for the life of the process.

    Raises:
        OSError: it cannot be made.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    unfinished = database.with_name(f"{database.name}.{os.getpid()}.tmp")
    unfinished.unlink(missing_ok=True)
    program = "import mlflow, sys; mlflow.MlflowClient(sys.argv[1]).search_experiments(max_results=1)"
    done = subprocess.run(
        [sys.executable, "-c", program, sqlite_address(unfinished)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise OSError(f"no database could be made in {database.parent}: {(done.stderr.splitlines() or [''])[-1]}")
    os.replace(unfinished, database)
