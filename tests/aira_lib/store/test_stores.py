"""Both kinds of store behave the same; what is refused is refused in one line."""

import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aira_lib.errors import StoreError
from aira_lib.store import Holder, Store, open_store
from aira_lib.store.base import is_temporary, safe_name
from aira_lib.store.files import disk_errors
from aira_lib.store.s3 import READS, S3Store

COMPONENT = st.one_of(
    st.text(
        st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="/\\"), min_size=1, max_size=20
    ),
    st.sampled_from(["a b", "a+b", "100%", "%2F", "a=b&c", "~x", "ü", "名", "x" * 255, "-", "...", ".hidden", "a#b?c"]),
).filter(lambda part: part not in (".", "..") and not part.endswith(".tmp") and part.isprintable())
NAMES = st.lists(COMPONENT, min_size=1, max_size=3).map("/".join).filter(lambda name: len(name.encode()) <= 800)


@pytest.fixture
def store(store_uri: str) -> Store:
    return open_store(store_uri)


def one_line(error: pytest.ExceptionInfo[StoreError], *parts: str) -> None:
    text = str(error.value)
    assert "\n" not in text
    assert "test-secret" not in text
    for part in parts:
        assert part in text


def test_put_get_list_remove(store: Store, tmp_path: Path) -> None:
    assert store.list() == []
    assert not store.exists("a/b")
    source = tmp_path / "source"
    source.write_bytes(b"x" * 9_000_000)  # more than one part of a multipart upload
    store.put(source, "a/big")
    store.write("a/b", b"1")
    store.write("a/b", b"2")
    store.write("a-b/c", b"")
    assert store.read("a/b") == b"2"
    assert store.read("a-b/c") == b""
    assert store.list() == ["a-b/c", "a/b", "a/big"]
    assert store.list("a") == ["a/b", "a/big"]
    assert store.list("absent") == []
    assert store.sizes() == {"a-b/c": 0, "a/b": 1, "a/big": 9_000_000}
    assert (store.sizes("a"), store.sizes("a/b"), store.sizes("a/bi")) == (
        {"a/b": 1, "a/big": 9_000_000},
        {"a/b": 1},
        {},
    )
    assert store.exists("a/b")
    assert not store.exists("a")
    assert not store.exists("a/bi")
    target = tmp_path / "new" / "target"
    store.get("a/big", target)
    assert target.read_bytes() == source.read_bytes()
    store.remove("a/b")
    assert store.list("a") == ["a/big"]
    store.remove("a")
    assert store.list() == ["a-b/c"]
    store.remove("a")


def test_check_leaves_nothing(store: Store) -> None:
    store.check()
    assert store.list() == []


@pytest.mark.parametrize("replaced", [1, READS])
def test_an_object_that_is_replaced_while_it_is_read(s3_uri: str, tmp_path: Path, replaced: int) -> None:
    """Its parts come one by one; the second reading is whole, or there is one line."""
    size, bucket = 20 * 2**20, s3_uri.split("/")[2]
    store, other = open_store(s3_uri), boto3.client("s3")
    assert isinstance(store, S3Store)
    store.write("large", bytes(size))
    seen: list[str] = []

    def replace(params: dict[str, Any], **_: Any) -> None:
        """Before a second part is asked for under a tag, another object takes its place."""
        tag = params["headers"].get("If-Match", "")
        if tag and tag not in seen and len(seen) < replaced:
            seen.append(tag)
            other.put_object(Bucket=bucket, Key="runs/large", Body=bytes([len(seen)]) * size)

    store._client.meta.events.register("before-call.s3.GetObject", replace)
    if replaced < READS:
        assert store.read("large") == bytes([1]) * size
        store.get("large", tmp_path / "large")
        assert (tmp_path / "large").read_bytes() == bytes([1]) * size
    else:
        with pytest.raises(StoreError) as error:
            store.read("large")
        one_line(error, "large", "replaced each of the 5 times")
    assert len(seen) == replaced


def test_more_names_than_a_page(s3_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aira_lib.store.s3.PAGE", 3)

    bucket, client = s3_uri.split("/")[2], boto3.client("s3")
    for i in range(10):
        client.put_object(Bucket=bucket, Key=f"runs/many/{i:04d}", Body=b"")
    client.put_object(Bucket=bucket, Key="runs/many/", Body=b"")
    client.put_object(Bucket=bucket, Key="runs-of-others/x", Body=b"")
    assert open_store(s3_uri).list() == [f"many/{i:04d}" for i in range(10)]
    assert open_store(f"s3://{bucket}").list("runs-of-others") == ["runs-of-others/x"]


def test_reading_what_is_absent(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError) as error:
        store.read("gone/x")
    one_line(error, "gone/x", "removed or moved")
    with pytest.raises(StoreError):
        store.get("gone/x", tmp_path / "x")
    assert not any(tmp_path.glob("**/*x*"))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAMES, data=st.binary(max_size=100))
@example(name="x" * 255 + "/" + "y" * 255, data=b"long")
def test_any_name_keeps_its_bytes(store: Store, tmp_path: Path, name: str, data: bytes) -> None:
    store.write(name, data)
    assert store.list() == [name]
    assert store.exists(name)
    assert store.read(name) == data
    store.remove(name.split("/")[0])
    assert store.list() == []


@given(st.lists(st.sampled_from(["..", ".", "", "a", "b.tmp", "c\\d", "\n", "\x00", "e\u2028", "x" * 256]), max_size=4))
@example(["", "etc", "passwd"])
@example(["a"] * 500)
def test_safe_names_stay_inside(parts: list[str]) -> None:
    if parts and set(parts) == {"a"} and len(parts) < 400:
        assert safe_name(*parts) == "/".join(parts)
    else:
        with pytest.raises(StoreError) as error:
            safe_name(*parts)
        one_line(error)


def test_escapes_are_refused(store: Store, tmp_path: Path) -> None:
    for action in (store.read, store.exists, store.remove, store.list):
        with pytest.raises(StoreError):
            action("a/../../b")
    with pytest.raises(StoreError):
        store.write("../b", b"")
    with pytest.raises(StoreError):
        store.remove("")


def test_open_by_path_and_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a b").mkdir()
    for uri in ("a b", str(tmp_path / "a b"), (tmp_path / "a b").as_uri()):
        open_store(uri).write("x", uri.encode())
        assert (tmp_path / "a b" / "x").read_bytes() == uri.encode()
        assert open_store(uri).uri == (tmp_path / "a b").as_uri()
    assert open_store("runs").list() == []
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("uri", "remedy"),
    [
        ("files:///x", "did you mean 'file'"),
        ("gs://bucket/x", "valid: file, s3"),
        ("file://runs", "file:///path"),
        ("s3:///x", "s3://bucket/prefix"),
        ("s3:bucket/x", "s3://bucket/prefix"),
        ("s3://bucket/../x", "relative path"),
        ("s3://key:test-secret@bucket/x", "AWS_ACCESS_KEY_ID"),
        ("", "such as runs"),
    ],
)
def test_uris_that_name_nothing(uri: str, remedy: str) -> None:
    with pytest.raises(StoreError) as error:
        open_store(uri)
    one_line(error, remedy)


def test_a_bucket_that_is_not_there(s3_env: str, tmp_path: Path) -> None:
    store = open_store("s3://no-such-bucket-here/runs")
    (tmp_path / "f").write_bytes(b"1")
    for action in (
        store.check,
        store.list,
        lambda: store.exists("x"),
        lambda: store.write("x", b""),
        lambda: store.put(tmp_path / "f", "x"),
    ):
        with pytest.raises(StoreError) as error:
            action()
        one_line(error, "s3://no-such-bucket-here/runs", "no such bucket", "create it")
    with pytest.raises(StoreError) as error:
        open_store("s3://Not_A_Bucket!/x").check()
    one_line(error, "not a valid bucket name")


def test_an_endpoint_that_is_not_there(s3_env: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    (tmp_path / "f").write_bytes(b"1")
    store = open_store("s3://bucket/runs")
    for action in (store.check, lambda: store.put(tmp_path / "f", "x"), lambda: store.get("x", tmp_path / "g")):
        with pytest.raises(StoreError) as error:
            action()
        one_line(error, "http://127.0.0.1:9", "cannot be reached", "AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "127.0.0.1:9")
    with pytest.raises(StoreError) as error:
        open_store("s3://bucket/runs")
    one_line(error, "AWS_ENDPOINT_URL is not a URL")


def test_no_credentials(s3_env: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StoreError) as error:
        open_store("s3://bucket/runs").check()
    one_line(error, "AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(StoreError) as error:
        open_store("s3://bucket/runs").check()
    one_line(error, "AWS_PROFILE")


@pytest.mark.parametrize("code", ["AccessDenied", "InvalidAccessKeyId", "QuotaExceeded", "NeverHeardOf"])
def test_refusals_of_the_server(s3_uri: str, code: str) -> None:
    """The server's own words come from botocore's stubber, since the test server allows everything."""
    from botocore.stub import Stubber

    store = open_store(s3_uri)
    with Stubber(store._client) as stub:  # type: ignore[attr-defined]
        stub.add_client_error("put_object", code, "two\nlines", 403)
        with pytest.raises(StoreError) as error:
            store.write("x", b"")
    one_line(error, s3_uri, ";")


def test_a_file_where_a_folder_is_needed(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("not a folder")
    store = open_store(str(tmp_path / "runs"))
    for action in (store.check, lambda: store.write("a/b", b""), lambda: store.read("a/b"), store.list):
        with pytest.raises(StoreError) as error:
            action()
        one_line(error, "runs", "a file stands where a folder is needed")
    assert (tmp_path / "runs").read_text() == "not a folder"


def test_a_place_where_no_folder_can_be_made_is_told() -> None:
    store = open_store("/proc/x")
    for action in (store.check, lambda: store.write("b", b""), lambda: store.take("parts/lock", Holder.here(), 30)):
        with pytest.raises(StoreError) as error:
            action()
        one_line(error, "/proc/x", "cannot be made; choose another folder")


def test_a_full_disk_leaves_nothing_half_written(small_disk: Path, tmp_path: Path) -> None:
    store = open_store(str(small_disk / "runs"))
    store.write("a", b"old")
    (tmp_path / "big").write_bytes(b"x" * 1_000_000)
    for action in (
        lambda: store.write("a", b"x" * 1_000_000),
        lambda: store.put(tmp_path / "big", "a"),
        lambda: open_store(str(tmp_path)).get("big", small_disk / "got"),
    ):
        with pytest.raises(StoreError) as error:
            action()
        one_line(error, str(small_disk), "no space left", "free some")
    assert store.read("a") == b"old"
    assert [path.name for path in small_disk.rglob("*") if path.is_file()] == ["a"]


def test_a_file_size_limit_is_told(tmp_path: Path) -> None:
    code = f"""
import resource
from aira_lib.errors import StoreError
from aira_lib.store import open_store
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
store = open_store({str(tmp_path)!r})
try:
    store.write("a", b"x" * 5000)
except StoreError as error:
    print(error)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "raise `ulimit -f`" in out
    assert out.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_bugs_are_not_called_disk_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), disk_errors("place"):
        (tmp_path / "misspelt").read_text()


def test_temporary_files_are_not_listed(tmp_path: Path) -> None:
    (tmp_path / "x.tmp").mkdir()
    for name in ("a", ".b.tmp", "x.tmp/c"):
        (tmp_path / name).write_text("1")
        assert is_temporary(name) == (name != "a")
    assert open_store(str(tmp_path)).list() == ["a"]
