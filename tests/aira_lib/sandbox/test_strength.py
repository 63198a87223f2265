import pytest

import aira_lib.sandbox.strength as module


def test_a_machine_without_namespaces_warns_loudly_and_once(
    monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(module, "_works", lambda strength: False)
    module.isolation.cache_clear()
    try:
        assert [module.isolation() for _ in range(3)] == ["none"] * 3
    finally:
        module.isolation.cache_clear()
    warned = [str(w.message) for w in recwarn if issubclass(w.category, RuntimeWarning)]
    assert len(warned) == 1
    assert "NOT ISOLATED" in warned[0]
