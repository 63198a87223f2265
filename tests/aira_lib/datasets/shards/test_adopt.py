"""Shards of other tools: adopted after a check of all of them, looked into, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from aira_lib.datasets.shards.adopt import adopt
from aira_lib.datasets.shards.folder import opened_shard, read_manifest, verify
from aira_lib.datasets.shards.megatron import Index, TokenType, dtype_of, write_index
from aira_lib.datasets.shards.plan import Preparation
from aira_lib.datasets.shards.prepare import prepare
from aira_lib.errors import UserError
from aira_lib.store import open_store
from tests.aira_lib.cli.in_process import aira
from tests.aira_lib.datasets.shards.texts import documents, lines, write_tokenizer


def foreign(folder: Path, name: str, ids: list[list[int]], type_: TokenType = "uint16") -> None:
    """What another tool leaves: flat tokens and Megatron's index."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.bin").write_bytes(np.array([i for each in ids for i in each], dtype_of(type_)).tobytes())
    write_index(folder / f"{name}.idx", Index(type_, np.array([len(each) for each in ids], np.int64)))


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """Shards of ours with their manifest; the tokenizer lies in llama.json."""
    (tmp_path / "a.jsonl").write_bytes(lines(documents(120)))
    asked = Preparation(
        (str(tmp_path / "a.jsonl"),), tokenizer=write_tokenizer(tmp_path, "llama"), shard_tokens=5_000,
        validation_one_in=10,
    )  # fmt: skip
    prepare(asked, str(tmp_path / "out"), 1, lambda progress: None)
    return tmp_path / "out"


def test_shards_without_their_manifest_get_the_same_one_again(ours: Path, tmp_path: Path) -> None:
    before = read_manifest(open_store(str(ours)))
    for name in ("manifest.json", "tokenizer.json"):
        (ours / name).unlink()
    after = adopt(open_store(str(ours)), str(tmp_path / "llama.json"))
    assert after == before.model_copy(update={"source": {"made_by": "aira data adopt"}})
    assert read_manifest(open_store(str(ours))) == after
    assert (ours / "tokenizer.json").exists()


def test_adopted_over_s3(ours: Path, tmp_path: Path, s3_uri: str) -> None:
    store = open_store(s3_uri)
    before = read_manifest(open_store(str(ours)))
    for path in ours.glob("*-*"):
        store.put(path, path.name)
    assert adopt(store, str(tmp_path / "llama.json")).splits == before.splits


def test_splits_by_names_or_as_told(tmp_path: Path) -> None:
    name = write_tokenizer(tmp_path, "gpt2")
    for shard in ("c4_text_document", "c4-valid_text_document", "invalid", "contest"):
        foreign(tmp_path / "f", shard, [[70, 71, 0], [72, 0]])
    manifest = adopt(open_store(str(tmp_path / "f")), name)
    assert [shard.name for shard in manifest.splits["validation"].shards] == ["c4-valid_text_document"]
    assert manifest.splits["train"].tokens == 15
    (tmp_path / "f" / "manifest.json").unlink()
    told = adopt(open_store(str(tmp_path / "f")), name, ["in*", "contest"])
    assert [shard.name for shard in told.splits["validation"].shards] == ["contest", "invalid"]
    (tmp_path / "f" / "manifest.json").unlink()
    with pytest.raises(UserError, match=r"--validation x\*: no shard of"):
        adopt(open_store(str(tmp_path / "f")), name, ["x*"])
    with pytest.raises(UserError, match="all its shards are held out"):
        adopt(open_store(str(tmp_path / "f")), name, ["*"])


def test_a_mark_of_beginnings_is_one_only_where_all_documents_have_it(tmp_path: Path) -> None:
    name = write_tokenizer(tmp_path, "llama")
    foreign(tmp_path / "all", "a", [[0, 70, 1], [0, 71, 1]])
    foreign(tmp_path / "some", "a", [[0, 70, 1], [71, 1]])
    assert adopt(open_store(str(tmp_path / "all")), name).tokenizer.begin == 0
    assert adopt(open_store(str(tmp_path / "some")), name).tokenizer.begin is None


def test_text_bytes_of_a_tokenizer_that_is_not_of_bytes(tmp_path: Path) -> None:
    made = Tokenizer(models.WordLevel({"</s>": 0, "<unk>": 1, "one": 2, "naïve": 3}, unk_token="<unk>"))
    made.pre_tokenizer, made.decoder = pre_tokenizers.Whitespace(), decoders.Fuse()
    made.add_special_tokens(["</s>"])
    made.save(str(tmp_path / "t.json"))
    foreign(tmp_path / "f", "a", [[2, 3, 0], [3, 0]], "uint8")
    manifest = adopt(open_store(str(tmp_path / "f")), str(tmp_path / "t.json"))
    assert manifest.splits["train"].text_bytes == len("onenaïve".encode()) + len("naïve".encode())


@pytest.mark.parametrize(
    ("ids", "type_", "words"),
    [
        ([[70, 349, 0]], "int32", ""),
        ([[70, 350, 0]], "int32", r"has the id 350, and the tokenizer gpt2\.json has 350 ids"),
        ([[70, -1, 0]], "int32", "name the tokenizer that made these tokens"),
        ([[70, 71]], "uint16", "1 of 1 documents do not end with the token 0"),
        ([[70, 0], [], [71, 0]], "uint16", "document 1 has no tokens"),
    ],
)
def test_tokens_are_checked(ids: list[list[int]], type_: TokenType, words: str, tmp_path: Path) -> None:
    name = write_tokenizer(tmp_path, "gpt2")
    foreign(tmp_path / "f", "a", ids, type_)
    if not words:
        assert adopt(open_store(str(tmp_path / "f")), name).splits["train"].tokens == 3
        return
    with pytest.raises(UserError, match=words) as error:
        adopt(open_store(str(tmp_path / "f")), name)
    assert "a" in str(error.value)
    assert not (tmp_path / "f" / "manifest.json").exists()


def test_another_end_can_be_named(tmp_path: Path) -> None:
    name = write_tokenizer(tmp_path, "llama")
    foreign(tmp_path / "f", "a", [[70, 0], [71, 0]])
    with pytest.raises(UserError, match="name the one that ends them with --end"):
        adopt(open_store(str(tmp_path / "f")), name)
    with pytest.raises(UserError, match="no such token"):
        adopt(open_store(str(tmp_path / "f")), name, end="<|nothing|>")
    assert adopt(open_store(str(tmp_path / "f")), name, end="<|begin_of_text|>").tokenizer.end == 0


def test_what_does_not_belong_together_is_named(tmp_path: Path, ours: Path) -> None:
    name = write_tokenizer(tmp_path, "gpt2")
    with pytest.raises(UserError, match="has a manifest already"):
        adopt(open_store(str(ours)), name)
    with pytest.raises(UserError, match="no token shards there"):
        adopt(open_store(str(tmp_path / "none")), name)
    foreign(tmp_path / "f", "a", [[70, 0]])
    (tmp_path / "f" / "a.bin").write_bytes(b"\0" * 6)
    with pytest.raises(UserError, match=r"a\.bin: has 6 bytes, where its index tells of 4"):
        adopt(open_store(str(tmp_path / "f")), name)
    (tmp_path / "f" / "a.bin").unlink()
    with pytest.raises(UserError, match=r"a\.bin: is missing"):
        adopt(open_store(str(tmp_path / "f")), name)
    shutil.rmtree(tmp_path / "f")
    foreign(tmp_path / "f", "a", [[70, 0]])
    foreign(tmp_path / "f", "b", [[70, 0]], "int32")
    with pytest.raises(UserError, match=r"several types \(int32, uint16\)"):
        adopt(open_store(str(tmp_path / "f")), name)
    (ours / "manifest.json").unlink()
    with pytest.raises(UserError, match="another tokenizer than gpt2"):
        adopt(open_store(str(ours)), name)


def test_any_flipped_byte_is_found_and_named(ours: Path) -> None:
    store, rng = open_store(str(ours)), np.random.default_rng(0)
    manifest = read_manifest(store)
    files = sorted(path for path in ours.iterdir() if path.suffix in (".bin", ".idx"))
    for _ in range(20):
        path = files[rng.integers(len(files))]
        whole = path.read_bytes()
        at = int(rng.integers(len(whole)))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << int(rng.integers(8)))]) + whole[at + 1 :])
        assert path.name in {name for name, wrong in verify(store, manifest) if wrong}
        path.write_bytes(whole)
    assert not [name for name, wrong in verify(store, manifest) if wrong]
    files[0].unlink()
    assert (files[0].name, "missing") in [*verify(store, manifest)]


def test_an_index_that_is_not_that_of_its_tokens_is_refused(tmp_path: Path) -> None:
    foreign(tmp_path / "f", "a", [[70, 0]])
    write_index(tmp_path / "f" / "a.idx", Index("uint16", np.array([3], np.int64)))
    with (
        pytest.raises(UserError, match=r"a\.idx: not the index of its \.bin"),
        opened_shard(open_store(str(tmp_path / "f")), "a", "uint16"),
    ):
        pass


def test_the_command_line_shows_adopts_and_verifies(ours: Path, tmp_path: Path) -> None:
    shown = aira("data", "inspect", str(ours), "--verify")
    assert shown.code == 0
    assert "all files are whole" in shown.out
    first = documents(120)[0]
    assert " ".join(first.split())[:60] in shown.out, "the first documents can be read"
    (ours / "manifest.json").unlink()
    assert "without a manifest; aira data adopt gives them one" in aira("data", "inspect", str(ours)).out
    adopted = aira("data", "adopt", str(ours), "--tokenizer", str(tmp_path / "llama.json"))
    assert (adopted.code, "tokens as uint16" in adopted.out) == (0, True)
    (shard,) = (ours / "validation-00000-000.bin",)
    shard.write_bytes(b"\xff" + shard.read_bytes()[1:])
    wrong = aira("data", "inspect", str(ours), "--verify")
    assert wrong.code == 1
    assert "validation-00000-000.bin: damaged" in wrong.out
    assert aira("data", "inspect", str(tmp_path / "none")).err.count("\n") == 1
    (ours / "manifest.json").write_text(json.dumps({"version": 2}))
    assert "not a manifest of token shards" in aira("data", "inspect", str(ours)).err


def test_all_damaged_files_are_named_whichever_is_first(ours: Path) -> None:
    (ours / "train-00000-000.idx").write_bytes(b"no index")
    one = aira("data", "inspect", str(ours), "--verify")
    assert (one.code, one.err) == (1, "")
    assert "train-00000-000.idx: damaged" in one.out
    assert "1 file is damaged; put a whole copy there" in one.out
    (ours / "validation-00000-000.bin").unlink()
    (ours / "tokenizer.json").write_text("{")
    more = aira("data", "inspect", str(ours), "--verify")
    assert (more.code, more.err) == (1, "")
    for words in ("train-00000-000.idx: damaged", "validation-00000-000.bin: missing", "tokenizer.json: damaged"):
        assert words in more.out
    assert "3 files are damaged" in more.out


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"end": 350}, r"tokenizer: end 350 is none of its 350 ids"),
        ({"begin": -1}, r"tokenizer: begin -1 is none of its 350 ids"),
        ({"vocab_size": "many"}, r"tokenizer\.vocab_size: "),
    ],
)
def test_a_manifest_that_cannot_be_says_what_is_wrong(wrong: dict[str, object], says: str, ours: Path) -> None:
    content = json.loads((ours / "manifest.json").read_text())
    content["tokenizer"] |= wrong
    (ours / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=rf"manifest\.json: not a manifest of token shards \({says}.*put a whole copy"):
        read_manifest(open_store(str(ours)))


def test_plain_arrays_get_the_index_that_their_ends_say(ours: Path, tmp_path: Path) -> None:
    before = read_manifest(open_store(str(ours)))
    for path in [*ours.glob("*.idx"), ours / "manifest.json"]:
        path.unlink()
    with pytest.raises(UserError, match="say with --tokens what"):
        adopt(open_store(str(ours)), str(tmp_path / "llama.json"))
    with pytest.raises(UserError, match=r"read as int32, its last token is \d+, not the end"):
        adopt(open_store(str(ours)), str(tmp_path / "llama.json"), tokens="int32")
    assert not list(ours.glob("*.idx"))
    done = aira("data", "adopt", str(ours), "--tokenizer", str(tmp_path / "llama.json"), "--tokens", "uint16")
    assert done.code == 0, done.err
    assert read_manifest(open_store(str(ours))).splits == before.splits


def test_plain_arrays_over_s3(ours: Path, tmp_path: Path, s3_uri: str) -> None:
    store, before = open_store(s3_uri), read_manifest(open_store(str(ours)))
    for path in ours.glob("*.bin"):
        store.put(path, path.name)
    assert adopt(store, str(tmp_path / "llama.json"), tokens="uint16").splits == before.splits
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "a.bin").write_bytes(b"123")
    with pytest.raises(UserError, match="no whole uint16 tokens"):
        adopt(open_store(str(tmp_path / "odd")), str(tmp_path / "llama.json"), tokens="uint16")
