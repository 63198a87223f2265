"""Public formats of items, made into the one form of each task that the harness reads.

Datasets come as their hosts on Hugging Face have them, or as their publishers' files; what is the same item is the same
row here, with the number of its right choice. Rows keep what prompts and scores need, and nothing else.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]
Raw = Mapping[str, Any]
_LETTERS = "ABCDEFG"
_HIDDEN = "a split whose answers are held back cannot be scored"


class Unfit(Exception):
    """What keeps an item from being one of its task; the text says what is wrong with it."""


@dataclass(frozen=True)
class Format:
    """How a task's items are read.

    Attributes:
        columns: of a row, with types: `text`, `texts` (a list), `number` or `numbers`, or a dictionary of these.
        row: makes a row from a public one. KeyError and TypeError say that it is none of this task.
        gold: the number of the right choice of a row, from 0.
        spread: the public rows in an entry of a publisher's file, where that holds several.
    """

    columns: Mapping[str, Any]
    row: Callable[[Raw], Row]
    gold: Callable[[Row], int] | None = None
    spread: Callable[[Raw], Iterator[Raw]] | None = None


def schema(columns: Mapping[str, Any]) -> "pa.Schema":
    """The Arrow schema of a format's columns."""
    import pyarrow as pa

    return pa.schema([(name, _arrow(kind)) for name, kind in columns.items()])


def _arrow(kind: Any) -> Any:
    import pyarrow as pa

    if isinstance(kind, Mapping):
        return pa.struct([(name, _arrow(each)) for name, each in kind.items()])
    return {
        "text": pa.string(), "number": pa.int64(), "texts": pa.list_(pa.string()), "numbers": pa.list_(pa.int64()),
    }[kind]  # fmt: skip


def _text(raw: Raw, name: str) -> str:
    value = raw[name]
    if not isinstance(value, str):
        raise Unfit(f"{name!r} is no text")
    return value


def _texts(values: Any, name: str) -> list[str]:
    if not isinstance(values, list) or not values or not all(isinstance(each, str) for each in values):
        raise Unfit(f"{name!r} is no list of texts")
    return values


def _number(raw: Raw, name: str, count: int) -> int:
    """A number of a choice from 0, which some files have as text."""
    value = raw[name]
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if not isinstance(value, int) or not 0 <= value < count:
        raise Unfit(f"{name!r} is {value!r}, not a number from 0 to {count - 1}; {_HIDDEN}")
    return int(value)


def _texts_of(*names: str) -> Callable[[Raw], Row]:
    return lambda raw: {name: _text(raw, name) for name in names}


def _lettered(question: str) -> Callable[[Raw], Row]:
    """Questions with labelled choices, as AI2's; its own files have a question within a question."""

    def row(raw: Raw) -> Row:
        asked = raw["question"] if isinstance(raw.get("question"), Mapping) else None
        stem = _text(raw, question) if asked is None else _text(asked, "stem")
        given = raw["choices"] if asked is None else {key: [each[key] for each in asked["choices"]] for key in _CHOICES}
        choices = {key: _texts(given[key], f"choices.{key}") for key in _CHOICES}
        key = _text(raw, "answerKey").strip()
        if len(choices["text"]) != len(choices["label"]):
            raise Unfit("its choices have not as many texts as labels")
        if key not in choices["label"]:
            raise Unfit(f"'answerKey' is {key!r}, which no choice has; {_HIDDEN}")
        return {question: stem, "choices": choices, "answerKey": key}

    return row


_CHOICES = ("text", "label")


def _lettered_gold(row: Row) -> int:
    return int(row["choices"]["label"].index(row["answerKey"]))


def _lettered_format(question: str) -> Format:
    return Format(
        {question: "text", "choices": {"text": "texts", "label": "texts"}, "answerKey": "text"},
        _lettered(question), _lettered_gold,
    )  # fmt: skip


def _commonsense(raw: Raw) -> Row:
    row = _lettered("question")(raw)
    if row["choices"]["label"] != list("ABCDE"):  # the harness's prompt counts on it
        raise Unfit("its choices are not A to E")
    return row


def _blank(raw: Raw) -> Row:
    row = _texts_of("sentence", "option1", "option2")(raw)
    if "_" not in row["sentence"]:
        raise Unfit("its sentence has no blank (_)")
    answer = str(raw["answer"])
    if answer not in ("1", "2"):
        raise Unfit(f"'answer' is {answer!r}, not 1 or 2; {_HIDDEN}")
    return {**row, "answer": answer}


def _copa(raw: Raw) -> Row:
    row = _texts_of(*_COPA)(raw)
    if row["question"] not in ("cause", "effect"):
        raise Unfit(f"'question' is {row['question']!r}, not cause or effect")
    return {**row, "label": _number(raw, "label", 2)}


def _boolq(raw: Raw) -> Row:
    """BoolQ says answer (true or false), SuperGLUE label (0 or 1; true or false in its own file)."""
    said = raw["answer"] if "answer" in raw else raw["label"]
    return {**_texts_of("passage", "question")(raw), "label": _number({"label": said}, "label", 2)}


def _hellaswag(raw: Raw) -> Row:
    endings = _texts(raw["endings"], "endings")
    label = str(_number(raw, "label", len(endings)))
    return {**_texts_of(*_HELLASWAG)(raw), "endings": endings, "label": label}


def _piqa(raw: Raw) -> Row:
    return {**_texts_of("goal", "sol1", "sol2")(raw), "label": _number(raw, "label", 2)}


def _lambada(raw: Raw) -> Row:
    row = _texts_of("text")(raw)
    if " " not in row["text"].strip(" "):
        raise Unfit("its text is a single word")
    return row


def _lsat(raw: Raw) -> Row:
    """LSAT-AR as lm-eval's copy has it, or AGIEval's own file, whose prompt without examples is written out here."""
    if "query" in raw:
        query, choices, gold = _text(raw, "query"), _texts(raw["choices"], "choices"), raw["gold"]
    else:
        choices = _texts(raw["options"], "options")
        last = _LETTERS[len(choices) - 1]
        query = (
            f"{raw['passage'] or ''}Q: {_text(raw, 'question')} Answer Choices: {' '.join(choices)}\n"
            f"A: Among A through {last}, the answer is"
        )
        gold = [_LETTERS.find(_text(raw, "label"))]
    if not isinstance(gold, list) or len(gold) != 1 or gold[0] not in range(len(choices)):
        raise Unfit(f"its right choice is {gold!r}, not the number of one choice")
    return {"query": query, "choices": choices, "gold": gold}


def _squad_entries(entry: Raw) -> Iterator[Raw]:
    """The questions in an article of the publisher's file."""
    for paragraph in entry["paragraphs"]:
        for question in paragraph["qas"]:
            answers = {"text": [each["text"] for each in question["answers"]]}
            yield {**question, "title": entry["title"], "context": paragraph["context"], "answers": answers}


def _squad(raw: Raw) -> Row:
    answers = raw["answers"]["text"]
    return {
        **_texts_of("title", "context", "question")(raw),
        "answers": {"text": _texts(answers, "answers.text") if answers else []},
    }


def _coqa(raw: Raw) -> Row:
    """A story and all its turns; the last one is asked. Some files have further people's answers."""
    questions, answers = _turns(raw["questions"], "questions"), _turns(raw["answers"], "answers")
    others = [_turns(each, "additional_answers") for each in (raw.get("additional_answers") or {}).values()]
    if any(len(each) != len(questions) for each in (answers, *others)):
        raise Unfit("it has not as many answers as questions")
    return {"story": _text(raw, "story"), "questions": questions, "answers": answers, "others": [a[-1] for a in others]}


def _turns(turns: Any, name: str) -> list[str]:
    """The texts of turns: a list of turns in the publisher's file, columns elsewhere."""
    if isinstance(turns, Mapping):
        return _texts(turns["input_text"], name)
    return _texts([each["input_text"] for each in turns], name)


_BLANK = Format(
    dict.fromkeys(("sentence", "option1", "option2", "answer"), "text"), _blank, lambda row: int(row["answer"]) - 1
)
_SCIQ = ("support", "question", "distractor1", "distractor2", "distractor3", "correct_answer")


_COPA = ("premise", "choice1", "choice2", "question")
_HELLASWAG = ("activity_label", "ctx_a", "ctx_b")


def _labelled(texts: tuple[str, ...], row: Callable[[Raw], Row], **others: str) -> Format:
    return Format({**dict.fromkeys(texts, "text"), "label": "number", **others}, row, lambda row: int(row["label"]))


FORMATS: dict[str, Format] = {
    "copa": _labelled(_COPA, _copa),
    "coqa": Format({"story": "text", "questions": "texts", "answers": "texts", "others": "texts"}, _coqa),
    "lambada": Format({"text": "text"}, _lambada),
    "openbookqa": _lettered_format("question_stem"),
    "winogrande": _BLANK,
    "xwinograd": _BLANK,
    "agieval_lsat_ar": Format(
        {"query": "text", "choices": "texts", "gold": "numbers"}, _lsat, lambda row: int(row["gold"][0])
    ),
    "arc_c": _lettered_format("question"),
    "arc_e": _lettered_format("question"),
    "boolq": _labelled(("passage", "question"), _boolq),
    "commonsenseqa": Format(_lettered_format("question").columns, _commonsense, _lettered_gold),
    "hellaswag": _labelled(_HELLASWAG, _hellaswag, endings="texts", label="text"),
    "piqa": _labelled(("goal", "sol1", "sol2"), _piqa),
    "squadv2": Format(
        {**dict.fromkeys(("title", "context", "question"), "text"), "answers": {"text": "texts"}},
        _squad,
        spread=_squad_entries,
    ),
    # The harness has the right answer behind the three wrong ones.
    "sciq": Format(dict.fromkeys(_SCIQ, "text"), _texts_of(*_SCIQ), lambda row: 3),
}
"""By the name of the task."""
