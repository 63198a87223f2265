"""The stand-in's text: small models of services in botocore's format, and that no candidate sees the installed ones."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from aira_lib.autoresearch.prepare.services import HOLDERS, plain, service_documents, services_identity
from aira_lib.autoresearch.prepare.text import documents, texts_in
from aira_lib.errors import UserError
from aira_lib.sandbox import closes_files, isolation, run_candidate
from aira_lib.study import CandidateLimits
from aira_lib.tasks.airs.folder import built_in_programs
from aira_lib.tasks.programs.folder import load_program_folder

SPLITS = ("train", "validation", "test")
OLD, NEW = "2001-01-01", "2024-02-02"


def model(said: str) -> dict[str, Any]:
    """A service of one operation, whose input has a list of structures, and which refers to itself."""
    shapes = {
        "Request": {"members": {"Names": {"shape": "Names", "documentation": f"<p>The names of {said}.</p>"}}},
        "Names": {"type": "list", "member": {"shape": "Name"}},
        "Name": {"members": {"Part": {"shape": "Name", "documentation": f"A part of the name of {said}."}}},
    }
    operation = {"documentation": f"<p>Makes {said} of things &amp; names them.</p>", "input": {"shape": "Request"}}
    return {"operations": {f"Make{said}": operation, "Silent": {}}, "shapes": shapes}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for i in range(120):
        for version, said in ((OLD, f"old{i}"), (NEW, f"new{i}")):
            folder = tmp_path / "data" / f"service{i}" / version
            folder.mkdir(parents=True)
            (folder / "service-2.json.gz").write_bytes(gzip.compress(json.dumps(model(said)).encode()))
    return tmp_path / "data"


def test_an_operation_with_all_that_it_takes_is_a_document(root: Path) -> None:
    found = service_documents(root)
    everything = [text for split in SPLITS for text in found[split]]
    assert len(set(everything)) == len(everything) == 120
    (one,) = [text for text in everything if "new7 " in text]
    assert one == (
        "Makenew7\n\nMakes new7 of things & names them.\n\nNames: The names of new7.\n\n"
        "Part: A part of the name of new7."
    )
    assert not any("old" in text for text in everything)


def test_a_service_is_in_one_split_whatever_the_others_are(root: Path) -> None:
    before = service_documents(root)
    assert all(before.values())
    assert len(before["train"]) > 0.8 * 120
    gone = next(i for i in range(120) if any(f"new{i} " in text for text in before["train"]))
    (root / f"service{gone}" / NEW / "service-2.json.gz").unlink()
    (root / f"service{gone}" / OLD / "service-2.json.gz").unlink()
    after = service_documents(root)
    assert after["validation"] == before["validation"]
    assert after["test"] == before["test"]
    assert set(before["train"]) - set(after["train"]) == {t for t in before["train"] if f"new{gone} " in t}


def test_a_held_out_document_that_training_says_too_is_left_out(root: Path) -> None:
    found = service_documents(root)
    held_out = found["validation"][0]
    number = next(i for i in range(120) if f"new{i} " in held_out)
    copied = json.loads(gzip.decompress((root / f"service{number}" / NEW / "service-2.json.gz").read_bytes()))
    learned = next(i for i in range(120) if any(f"new{i} " in text for text in found["train"]))
    copied["operations"] = {"Another": next(iter(copied["operations"].values()))}
    (root / f"service{learned}" / NEW / "service-2.json.gz").write_bytes(gzip.compress(json.dumps(copied).encode()))
    assert held_out not in service_documents(root)["validation"]


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One <code>two</code>\n   three.</p><p>Four</p>", "One two three.\nFour"),
        ("<ul> <li> <p>a</p> </li> <li> <p>b</p> </li> </ul>", "- a\n- b"),
        ("A &lt;b&gt; c<br/>d", "A <b> c\nd"),
        ("<note><p></p></note>", ""),
    ],
)
def test_tags_become_lines(html: str, text: str) -> None:
    assert plain(html) == text


def test_a_folder_without_services_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="too little documentation of services"):
        service_documents(tmp_path)


def test_no_candidate_finds_the_text_that_it_is_scored_on(tmp_path: Path) -> None:
    """By any path: it looks through all files that it sees for what only the models of services are called."""
    assert services_identity().startswith("botocore ")
    if not closes_files(isolation()):
        pytest.skip("files cannot be closed here")
    code = (
        "import os\n"
        "seen = [p for p, _, names in os.walk('/') if any(n.startswith('service-2.json') for n in names)]\n"
        "print('found', len(seen), seen[:3])\n"
    )
    hides = load_program_folder(built_in_programs()["AutoregressiveLanguageModellingAutoresearchBPB"]).program.hides
    outcome = run_candidate(code, tmp_path, CandidateLimits(seconds=120, memory_mb=1024), hides=hides)
    assert outcome.stdout_tail.strip() == "found 0 []", outcome


def test_no_other_package_tells_candidates_lines_of_the_hidden_text(tmp_path: Path) -> None:
    """Stubs of boto3 and schemas of CloudFormation repeat some, and AIRA's own tools may bring them along."""
    if not closes_files(isolation()):
        pytest.skip("files cannot be closed here")
    texts = texts_in(None)
    train, *hidden = ([*documents(texts, split, most)] for split, most in (("train", 2**62), *SHARDS))
    known, lines = ({line.split(": ", 1)[-1] for text in each for line in text.splitlines()} for each in
                    (train, [*hidden[0], *hidden[1]]))  # fmt: skip
    lines -= known
    (tmp_path / "lines.json").write_text(json.dumps([line for line in lines if len(line) > 60]))
    folder = built_in_programs()["AutoregressiveLanguageModellingAutoresearchBPB"]
    hides = load_program_folder(folder).program.hides
    assert hides == HOLDERS
    outcome = run_candidate(_LOOKS, tmp_path, CandidateLimits(seconds=120, memory_mb=2048), hides=hides)
    assert outcome.stdout_tail.strip() == "found {}", outcome


SHARDS = ("validation", 64_000), ("test", 64_000)
_LOOKS = """
import json, os, re, site
lines, found = set(json.load(open("lines.json"))), {}
begin = {line[:30] for line in lines}
for top in site.getsitepackages():
    for name in os.listdir(top):
        if not re.search("boto|aws|cfn|moto|s3", name):
            continue
        for here, _, names in os.walk(os.path.join(top, name)):
            for path in (os.path.join(here, each) for each in names if each.endswith((".py", ".pyi", ".json"))):
                text = re.sub(r"\\s+", " ", open(path, errors="replace").read())
                for at in re.finditer(r"\\b[A-Z]", text):
                    if text[at.start():at.start() + 30] in begin:
                        if any(text.startswith(line, at.start()) for line in lines):
                            found[name] = found.get(name, 0) + 1
print("found", found)
"""
