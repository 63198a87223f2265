"""Addresses of MLflow: which are refused, what of them is shown, and that what is printed to look at runs works."""

import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.errors import UserError
from aira_lib.track.address import check_address, how_to_look, sqlite_address, sqlite_file, without_login

GOOD = (
    "http://127.0.0.1:5000", "https://me:secret@host/path", "sqlite:///runs/mlflow.db", "sqlite:////my r\u00fcns/m.db",
    "postgresql://u:p@h/db", "mysql+pymysql://u:p@h:3306/db", "mssql+pyodbc://u:p@h/db", "databricks", "databricks://x",
)  # fmt: skip


@pytest.mark.parametrize("uri", GOOD)
def test_addresses_that_mlflow_takes(uri: str) -> None:
    check_address(uri)


@pytest.mark.parametrize(
    ("uri", "line"),
    [
        ("htp://host", "did you mean 'http'"),
        ("localhost:5000", "write http://HOST:PORT"),
        ("mlflow.db", "write http://HOST:PORT"),
        ("./mlruns", "sqlite:///FILE, or none"),
        ("None", "sqlite:///FILE, or none"),
        ("sqlite://runs/mlflow.db", "three slashes"),
        ("sqlite:runs.db", "three slashes"),
        ("http://", "names no host"),
        ("http:///x", "names no host"),
        ("http://host:port", "names no host"),
        ("http://[x", "names no host"),
        ("postgresql:u:secret@h/db", "two slashes"),
        ("s3://bucket/runs", "MLflow takes no such address"),
        ("", "MLflow takes no such address"),
    ],
)
def test_others_are_one_line_without_the_password(uri: str, line: str) -> None:
    with pytest.raises(UserError, match=line) as refused:
        check_address(uri)
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("name", ["runs", "my r\u00fcns", "my%20runs", "100%", "what?", "a#b", "a+b"])
def test_a_file_of_any_name_has_an_address_that_means_it(name: str, tmp_path: Path) -> None:
    """SQLAlchemy reads my%20runs as "my runs", which made another folder and no database."""
    make_url = pytest.importorskip("sqlalchemy").make_url
    file = tmp_path / name / "mlflow.db"
    check_address(sqlite_address(file))
    assert sqlite_file(sqlite_address(file)) == file
    assert make_url(sqlite_address(file)).database == str(file)


SECRET = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="'\"@"), min_size=6, max_size=20)


@given(SECRET, st.sampled_from(("http://me:{}@host:5000/x", "postgresql://me:{}@h/db", "https://{}@host",
                                "https://h/x?token={}&page=2", "postgresql:///db?user=me&password={}",
                                "postgresql:me:{}@h/db", "me:{}@host:5000")))  # fmt: skip
def test_no_password_is_shown(secret: str, form: str) -> None:
    uri = form.format(secret.replace("&", "") if "=" in form else secret)
    secret = secret.replace("&", "")
    if secret in form:
        return
    for shown in (without_login(uri), without_login(f"error at {uri}: refused"), how_to_look(uri, "aira/x")):
        assert secret not in shown
        assert "host" in shown or "/db" in shown or "h/x" in shown


@pytest.mark.slow
def test_the_printed_command_serves_the_runs(tmp_path: Path) -> None:
    """Without the variable in front of it the server asks another for prices: minutes where there is no network."""
    pytest.importorskip("mlflow")
    from aira_lib.track.log import TrackLog
    from aira_lib.track.mlflow_sync import MLflowSync

    database = tmp_path / "my r\u00fcns" / "100%" / "mlflow.db"
    log = TrackLog(tmp_path / "track.jsonl")
    log.metrics({"loss": 1.0}, 0)
    uri = sqlite_address(database)
    assert MLflowSync(uri, "aira/printed", {"aira.spec_digest": "d"}).sync("search:k", "s", log.path)
    line = how_to_look(uri, "aira/printed")
    assert line.startswith("LITELLM_LOCAL_MODEL_COST_MAP=True ")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        ["sh", "-c", f"{line} --port {port} --workers 1"], cwd=tmp_path, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert re.search(r"aira/printed", _experiments(server, port))
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _experiments(server: "subprocess.Popen[bytes]", port: int) -> str:
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/search", b'{"max_results": 10}',
        {"Content-Type": "application/json"},
    )  # fmt: skip
    for _ in range(1_200):
        assert server.poll() is None, "the printed command ended"
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                text: str = answer.read().decode()
                return text
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the printed command serves nothing")
