"""A cluster of fakes, which KUBECONFIG names."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aira_lib.cluster import rest
from tests.aira_lib.remote.small_platform import Platform, platform


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    with platform(tmp_path) as made:
        monkeypatch.setenv("KUBECONFIG", str(made.kubeconfig))
        monkeypatch.setattr(rest, "BACKOFF", 0.0)
        yield made
