"""An image has MLflow's client alone: it logs to servers, and not into files."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from aira_lib.errors import MissingDependency
from aira_lib.local import session
from aira_lib.settings import Settings


@pytest.fixture
def client_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "find_spec", lambda name: None if name == "sqlalchemy" else find_spec(name))


@pytest.mark.usefixtures("client_alone")
def test_the_client_alone_speaks_with_servers(tmp_path: Path) -> None:
    settings = Settings(store=str(tmp_path))
    assert session.tracking_uri(None, settings) is None
    assert session.tracking_uri("none", settings) is None
    for address in ("https://mlflow.example:5000", "databricks"):
        assert session.tracking_uri(address, settings) == address


@pytest.mark.usefixtures("client_alone")
@pytest.mark.parametrize("address", ["sqlite:///x/mlflow.db", "postgresql+psycopg://host/name"])
def test_a_database_is_refused_before_anything_is_run(address: str, tmp_path: Path) -> None:
    with pytest.raises(MissingDependency, match=r"MLflow in a database .*\[tracking\]"):
        session.tracking_uri(address, Settings(store=str(tmp_path)))


def test_with_all_of_mlflow_a_file_is_beside_the_store(tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy", reason="the extra `tracking` is not installed")
    assert session.tracking_uri(None, Settings(store=str(tmp_path))) == f"sqlite:///{tmp_path}/mlflow.db"
