"""What records say they were made by: a checkout asks git, an image says it itself."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import aira_lib
from aira_lib.cluster import image
from aira_lib.flow.versions import code_version


@pytest.fixture
def described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The description of an image in which this package lies, and no git."""
    monkeypatch.setattr(image, "DESCRIPTION", tmp_path / "image.json")
    monkeypatch.setattr(aira_lib, "__file__", str(tmp_path / "site-packages" / "aira_lib" / "__init__.py"))
    for asked in (code_version, image.image_here):
        asked.cache_clear()
    yield tmp_path / "image.json"
    for asked in (code_version, image.image_here):
        asked.cache_clear()


def description(**changes: object) -> str:
    return json.dumps({"version": aira_lib.__version__, "revision": "abc123", "extras": ["kfp"], **changes})


def test_an_image_says_of_which_commit_it_is(described: Path) -> None:
    described.write_text(description())
    assert image.image_here() == image.Image(aira_lib.__version__, "abc123", ("kfp",))
    assert code_version() == f"{aira_lib.__version__}+abc123"


@pytest.mark.parametrize(
    "text", [None, "{", "{}", "[]", "null", description(version="9.9"), description(revision="")], ids=str
)
def test_an_image_that_says_nothing_of_this_code_is_not_believed(text: str | None, described: Path) -> None:
    if text is not None:
        described.write_text(text)
    assert code_version() == aira_lib.__version__


def test_code_that_was_put_into_an_image_is_not_its_own(described: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    described.write_text(description())
    monkeypatch.setattr(aira_lib, "__file__", "/elsewhere/aira_lib/__init__.py")
    assert image.image_here() is None
