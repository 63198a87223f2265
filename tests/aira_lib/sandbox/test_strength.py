from pathlib import Path

import pytest

import aira_lib.sandbox.strength as module


def test_a_machine_without_namespaces_warns_loudly_and_once(
    monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(module, "works", lambda strength: False)
    module.isolation.cache_clear()
    try:
        assert [module.isolation() for _ in range(3)] == ["none"] * 3
    finally:
        module.isolation.cache_clear()
    warned = [str(w.message) for w in recwarn if issubclass(w.category, RuntimeWarning)]
    assert len(warned) == 1
    assert "NOT ISOLATED" in warned[0]


def test_open_files_are_warned_of_too(monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder) -> None:
    monkeypatch.setattr(module, "works", lambda strength: "open files" in strength)
    module.isolation.cache_clear()
    try:
        found = module.isolation()
    finally:
        module.isolation.cache_clear()
    assert found.endswith("namespaces, open files")
    assert "SEE ALL FILES" in str(recwarn.pop(RuntimeWarning).message)


def test_closed_files_come_before_open_ones() -> None:
    closed = [module.closes_files(each) for each in module.ladder()]
    assert closed == sorted(closed, reverse=True)


def test_why_a_stronger_isolation_is_not_used_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ladder", lambda: ("namespaces", "user namespaces"))
    monkeypatch.setattr(module, "isolation", lambda: "user namespaces")
    monkeypatch.setattr(module, "why_not", lambda strength: f"{strength} were refused")
    told = module.refusals()
    told.pop("bubblewrap", None)  # asked of on Linux alone
    assert told == {"namespaces": "namespaces were refused"}


def test_a_strength_that_cannot_be_set_up_says_at_what_it_failed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = Path(module.__file__).with_name("bootstrap.py").read_text()
    refusing = tmp_path / "bootstrap.py"
    refusing.write_text(source.replace("if result != 0:", "if True:"))
    monkeypatch.setattr("aira_lib.sandbox.launch._BOOTSTRAP", refusing)
    assert "unshare" in module.why_not("user namespaces")
