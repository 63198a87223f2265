"""Retrieval: AAN's files, generated pairs that only one value tells apart, and pairs of manual pages."""

import gzip
import re
from collections import Counter
from pathlib import Path

import pytest
from scipy.stats import binom

from aira_lib.errors import UserError
from aira_lib.lra.data import shared_record
from aira_lib.lra.data.aan import FILES, aan, read_pairs
from aira_lib.lra.data.man_pages import man_pages, read_pages
from aira_lib.lra.data.roff import included, sections, title_of
from aira_lib.lra.data.rows import Row
from aira_lib.lra.data.sizes import Size
from aira_lib.lra.data.words import word_overlap


def test_pairs_of_aan_are_read_without_quoting(tmp_path):
    lines = [
        b'1.0\tP01\tP02\tHe said "so\tand "thus',
        b"0.0\tP01\tP03\tcaf\xc3\xa9 \\n 'x'\tb\xff" + b"c" * 200,
    ]
    for name in FILES.values():
        (tmp_path / name).write_bytes(b"\n".join(lines) + b"\n")
    rows = read_pairs(tmp_path / FILES["train"], 100)
    assert rows[0] == Row((b'He said "so', b'and "thus'), 1)
    assert rows[1] == Row((b"caf\xc3\xa9 \\n 'x'", b"b\xff" + b"c" * 99), 0), (
        "a byte more than a row has tells that it is cut"
    )
    assert len(read_pairs(tmp_path / FILES["train"], 20_000)[1].texts[1]) == 202
    found = aan(tmp_path, Size(100, 1, 1, 1, whole=True), 0)
    assert Counter(found.train) == Counter(found.validation) == Counter(found.test) == Counter(rows)


@pytest.mark.parametrize("line", [b"2.0\ta\tb\tc\td", b"1.0\ta\tb\tc", b"1.0\ta\tb\tc\td\te", b"label\tid1\tid2\tt\tt"])
def test_lines_that_are_no_pairs_are_named(tmp_path, line):
    file = tmp_path / "new_aan_pairs.train.tsv"
    file.write_bytes(b"0.0\ta\tb\tc\td\n" + line + b"\n")
    with pytest.raises(UserError, match="line 2 is not a label"):
        read_pairs(file, 10)


def test_texts_of_aan_are_cut_to_ten_thousand_bytes_first(tmp_path):
    file = tmp_path / "pairs.tsv"
    file.write_bytes(b"1.0\ta\tb\t" + b"x" * 30_000 + b"\ty\n")
    assert len(read_pairs(file, 20_000)[0].texts[0]) == 10_000


def test_missing_pairs_say_what_serves_meanwhile(tmp_path):
    with pytest.raises(UserError, match=r"lra_release.*shared-record needs no data, man-pages"):
        aan(tmp_path, Size(10, 1, 1, 1), 0)
    (tmp_path / FILES["train"]).touch()
    with pytest.raises(UserError, match="holds no pairs"):
        aan(tmp_path, Size(10, 1, 1, 1), 0)


SETTINGS = shared_record.SharedRecord(8, 6, 3, matched=True)


@pytest.fixture(scope="module")
def pairs():
    return shared_record.generate(Size(200, 1200, 0, 1200), 0, SETTINGS)


def entries(text: bytes) -> set[tuple[str, str]]:
    return set(re.findall(r"^(\w+) = (\w+)$", text.decode(), re.MULTILINE))


def test_a_pair_is_of_class_one_where_the_secret_values_agree(pairs):
    for row in [*pairs.train, *pairs.test]:
        one, other = map(entries, row.texts)
        assert len(one) == len(other) == 8
        assert len(one & other) == 3, "both classes have equally many lines in common"
        assert row.label == any(key == "seal" for key, _ in one & other)
        assert max(map(len, row.texts)) <= 200


def test_neither_words_nor_either_document_alone_tell_the_class(pairs):
    assert 0.45 < sum(row.label for row in pairs.train) / len(pairs.train) < 0.55
    for reading in (word_overlap(pairs.train, pairs.test), pairs.ceilings[0]):
        assert abs(reading.accuracy - 0.5) < 4 * reading.standard_error, reading.name
    assert pairs.ceilings[1].accuracy == 1
    # The secret value of one document, the strongest that it alone could say.
    for side in (0, 1):
        ones = Counter(dict(entries(row.texts[side]))["seal"] for row in pairs.train if row.label)
        all_ = Counter(dict(entries(row.texts[side]))["seal"] for row in pairs.train)
        assert all(abs(ones[value] / count - 0.5) < 4 * 0.5 / count**0.5 for value, count in all_.items())


def test_below_the_papers_size_counting_tells_what_chance_allows():
    settings = shared_record.SETTINGS["laptop"]
    found = shared_record.generate(Size(200, 2000, 0, 2000), 0, settings)
    others = binom(settings.keys - 1, (settings.shared - 1) / (settings.keys - 1))
    best = sum(max(others.pmf(n), others.pmf(n - 1)) for n in range(settings.keys + 1)) / 2
    assert abs(found.ceilings[0].accuracy - best) < 4 * found.ceilings[0].standard_error
    assert found.ceilings[1].accuracy == 1
    for row in found.train[:300]:
        one, other = map(entries, row.texts)
        assert row.label == any(key == "seal" for key, _ in one & other)


def test_word_overlap_finds_the_threshold_that_fits_training():
    def row(words: int, label: int) -> Row:
        return Row((b"a b c d e", " ".join("abcdefghij"[5 - words : 10 - words]).encode()), label)

    train = [row(n, int(n >= 3)) for n in range(6)] * 3
    assert word_overlap(train, [row(n, int(n >= 3)) for n in range(6)]).accuracy == 1
    assert word_overlap([row(2, 0)], [row(4, 0)]).accuracy == 1, "one class alone"


PAGE = r""".\" A comment
.TH {name} {section} 2023-01-01 "Linux man-pages 6.03"
.SH NAME
{name} \- does \fB{name}\fP
.SH DESCRIPTION
.BR {name} ()
works like
.BR {others} (2)
and \fI{others}\fP, a\-b.
.SH SEE ALSO
{see}
"""


def write_page(root: Path, name: str, section: int, see: list[tuple[str, int]], packed: bool = True) -> None:
    folder = root / f"man{section}"
    folder.mkdir(parents=True, exist_ok=True)
    others = see[0][0] if see else "nothing"
    lines = "\n".join(f".BR {other} ({number})," for other, number in see)
    data = PAGE.format(name=name, section=section, others=others, see=lines).encode()
    (folder / f"{name}.{section}{'.gz' * packed}").write_bytes(gzip.compress(data) if packed else data)


@pytest.fixture
def manual(tmp_path):
    """Four rings of twelve pages each, every page pointing to the next."""
    for ring in "abcd":
        for i in range(12):
            write_page(tmp_path, f"{ring}page{i}x", 2, [(f"{ring}page{(i + 1) % 12}x", 2)], packed=i % 2 == 0)
    return tmp_path


def test_roff_is_read_as_people_see_it():
    source = PAGE.format(name="abs", section=3, others="labs", see=".BR labs (3)")
    assert title_of(source) == ("abs", "3", ' 2023-01-01 "Linux man-pages 6.03"')
    assert sections(source) == {
        "NAME": "abs - does abs",
        "DESCRIPTION": "abs() works like labs(2) and labs, a-b.",
        "SEE ALSO": "labs(3)",
    }
    assert included('.\\" A comment\n.so man3/abs.3\n') == "man3/abs.3"
    assert included(source) is None
    assert sections('.SH "RETURN VALUE"\n.BI "int " x ", long " y\n.IP \\(bu 2\n.nf\n\\fBok\\fP\\&.\n') == {
        "RETURN VALUE": "int x, long y 2 ok."
    }


def test_pairs_of_pages_point_to_each_other_or_are_far_apart(manual):
    found = man_pages(manual, Size(500, 100, 100, 100), 0)
    pages = {
        split: {name for row in getattr(found, split) for name in names(row)}
        for split in ("train", "validation", "test")
    }
    assert not pages["train"] & pages["test"], "pages are split, not pairs"
    assert not pages["validation"] & (pages["train"] | pages["test"])
    for row in [*found.train, *found.validation, *found.test]:
        (ring, i), (other_ring, j) = ((name[0], int(re.search(r"\d+", name)[0])) for name in names(row))
        apart = min((i - j) % 12, (j - i) % 12) if ring == other_ring else 99
        assert apart == 1 if row.label else apart > 2
    assert Counter(row.label for row in found.train)[0] == Counter(row.label for row in found.train)[1]
    assert man_pages(manual, Size(500, 100, 100, 100), 0) == found
    assert len(man_pages(manual, Size(500, 4, 2, 2), 1).train) == 4


def names(row: Row) -> list[str]:
    return [re.match(r"NAME (\w+)", text.decode())[1] for text in row.texts]


def test_no_text_says_what_it_points_to(manual):
    found = man_pages(manual, Size(500, 100, 100, 100), 0)
    for row in found.train:
        for text in row.texts:
            assert len(set(re.findall(r"[abcd]page\d+x", text.decode()))) == 1, "its own name alone"
            assert b"SEE ALSO" not in text
            assert not re.search(rb"\(\d\)", text)


def test_other_names_of_a_page_are_that_page_and_other_projects_pages_are_none(manual):
    before = read_pages(manual)
    (manual / "man2" / "alias.2").write_text(".so man2/apage0x.2\n")
    (manual / "man2" / "copy.2.gz").write_bytes((manual / "man2" / "apage2x.2.gz").read_bytes())
    (manual / "man2" / "other.2").write_text(
        PAGE.format(name="other", section=2, others="x", see="").replace("Linux man-pages", "GNU")
    )
    (manual / "de" / "man2").mkdir(parents=True)
    write_page(manual / "de", "fremd", 2, [])
    write_page(manual, "zpage", 2, [("alias", 2), ("copy", 2), ("zpage", 2), ("none", 9)])
    pages = {page.name: page for page in read_pages(manual)}
    assert set(pages) == {page.name for page in before} | {"zpage"}
    assert pages["zpage"].cites == {("apage0x", "2"), ("apage2x", "2"), ("none", "9")}


def test_a_folder_without_pages_says_where_they_come_from(tmp_path, manual):
    with pytest.raises(UserError, match=r"manpages and manpages-dev.*shared-record needs none"):
        read_pages(tmp_path / "nowhere")
    few = tmp_path / "few"
    write_page(few, "one", 2, [("two", 2)])
    write_page(few, "two", 2, [])
    with pytest.raises(UserError, match="2 pages are too few"):
        man_pages(few, Size(10, 1, 1, 1), 0)
    (few / "man2" / "bad.2.gz").write_bytes(b"\x1f\x8bno")
    with pytest.raises(UserError, match=r"bad.2.gz: cannot be read as a manual page"):
        read_pages(few)
