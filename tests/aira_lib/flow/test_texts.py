"""A study and a list of records by URI and SHA-256: what is read is what was written, or it is a line."""

import hashlib
from pathlib import Path

import pytest

from aira_lib.errors import UserError
from aira_lib.flow.texts import is_list, read_list, read_study, write_list, write_study
from aira_lib.store import open_store
from aira_lib.study import canonical_json, digest
from tests.builders import tiny_study

STUDY = tiny_study(description="one")


def file_of(text: str) -> Path:
    return Path(text.partition("#")[0].removeprefix("file://"))


def refused(text: str, store: str | None = None) -> str:
    with pytest.raises(UserError) as error:
        read_study(text, store)
    line = str(error.value)
    assert "\n" not in line
    return line


def test_a_study_comes_out_of_the_store_as_it_went_in(tmp_path: Path, s3_uri: str) -> None:
    for store in (str(tmp_path), s3_uri):
        text = write_study(STUDY, store)
        assert text == f"{open_store(store).uri}/tiny/studies/{digest(STUDY)[:12]}.json#{digest(STUDY)}"
        assert read_study(text) == read_study(text, store) == read_study(f" {text}\n") == STUDY
        assert write_study(STUDY, store) == text
        other = write_study(tiny_study(description="two"), store)
        assert read_study(other).description == "two"
        assert read_study(text).description == "one"


def test_a_study_may_be_json_too() -> None:
    assert read_study(f"\n {canonical_json(STUDY)}") == read_study(canonical_json(STUDY), "s3://b/x") == STUDY
    assert refused("{'name': 'x'}").startswith("the study: not JSON (")
    assert refused("{" * 100_000).startswith("the study: not JSON (")
    assert "unknown key 'agent'" in refused('{"name": "x", "agent": []}')


def test_a_study_that_is_not_what_was_written_is_a_line(tmp_path: Path) -> None:
    store = str(tmp_path / "runs")
    text = write_study(STUDY, store)
    uri, _, sha256 = text.partition("#")
    assert "is not in the store" in refused(text, str(tmp_path / "other"))
    assert "is not in the store" in refused(text, "s3://bucket/runs")
    assert "no such file in the store" in refused(text.replace("/studies/", "/studios/"), store)
    assert "unknown scheme 'gopher'" in refused(f"gopher://b/x/tiny/studies/y.json#{sha256}")
    for wrong in (uri, f"{uri}#{sha256[:12]}", f"{uri}#{sha256.upper()}", "greedy", "", "x" * 10_000):
        assert "give JSON, or URI#SHA-256" in refused(wrong, store)
        assert len(refused(wrong, store)) < 400
    assert f"its SHA-256 is {sha256[:12]}..., not 00000" in refused(f"{uri}#{'0' * 64}", store)
    file_of(text).write_text(canonical_json(tiny_study(description="changed")))
    assert f"not {sha256[:12]}... as the text says" in refused(text, store)
    with pytest.raises(UserError, match="not what was written there; remove it"):
        write_study(STUDY, store)


def test_what_is_no_study_is_a_line_with_its_place(tmp_path: Path) -> None:
    for content, line in ((b"[1]", "a study is a mapping"), (b"\xff\xfe", "not JSON"), (b'{"name": "x"}', "agents")):
        (tmp_path / "x.json").write_bytes(content)
        uri = (tmp_path / "x.json").as_uri()
        said = refused(f"{uri}#{hashlib.sha256(content).hexdigest()}")
        assert said.startswith(uri)
        assert line in said


def test_a_list_of_thousands_is_a_short_text(tmp_path: Path) -> None:
    """The kernel takes arguments of 128 KiB; 5,000 URIs have half a mebibyte."""
    store = str(tmp_path)
    root = open_store(store).uri
    records = [f"{root}/tiny/pretrain/Llama-3-2@350M.isoflop.{i}.s0-{i:012x}" for i in range(5_000)]
    text = write_list(records, STUDY, store)
    assert len(text) < 64 * 1024
    assert len(text) < len(records[0]) + 100
    assert read_list(text, store) == records
    assert is_list(text)
    assert read_list(write_list([], STUDY, store), store) == []
    # Neither the URI of a record, nor the name of a point, nor a study is taken for a list.
    assert not any(map(is_list, [*records[:2], f"{records[0]}#Llama", write_study(STUDY, store), ""]))
    with pytest.raises(UserError, match="is not in the store"):
        read_list(text, str(tmp_path / "other"))
    with pytest.raises(UserError, match="is not in the store"):
        write_list([*records[:1], "s3://other/tiny/search/x-0"], STUDY, store)


def test_a_list_is_the_same_wherever_its_store_is(tmp_path: Path) -> None:
    names = ["tiny/search/a.s0-0", "tiny/search/a.s1-1"]
    texts = {}
    for store in (str(tmp_path / "here"), str(tmp_path / "there")):
        texts[store] = write_list([f"{open_store(store).uri}/{name}" for name in names], STUDY, store)
    assert len({text.partition("#")[2] for text in texts.values()}) == 1
    (tmp_path / "here").rename(tmp_path / "moved")
    moved = str(tmp_path / "moved")
    text = texts[str(tmp_path / "here")].replace("/here/", "/moved/")
    assert read_list(text, moved) == [f"{open_store(moved).uri}/{name}" for name in names]
