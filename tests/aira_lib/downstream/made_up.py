"""Made-up items of the five tasks that no package carries, in the form of their publishers' files."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SLICES = Path(__file__).parent / "slices"
"""Eight real items of each of the ten other tasks, see the README there."""

PEOPLE = ("Ada", "Bo", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hal")

LSAT = [
    {
        "passage": f"{name} has {number} boxes.\n", "question": "How many are red?", "label": "ABCDE"[number % 5],
        "options": [f"({letter}){number + more}" for more, letter in enumerate("ABCDE")], "other": None,
    }
    for number, name in enumerate(PEOPLE)
]  # fmt: skip

LAMBADA = [{"text": f'"Where is the cat?" asked {name}. Nobody had seen the cat'} for name in PEOPLE]

XWINOGRAD = [
    {"sentence": f"{name} gave Kim a book since _ had two.", "option1": name, "option2": "Kim", "answer": "1"}
    for name in PEOPLE
]  # fmt: skip


def turns(*texts: str) -> list[dict[str, Any]]:
    return [{"input_text": text, "turn_id": number, "span_start": 0} for number, text in enumerate(texts, 1)]


COQA = {
    "version": "1.0",
    "data": [
        {
            "source": "mctest", "id": str(number), "filename": "-", "name": "-",
            "story": f"{name} had a white cat. It lived in a barn near the farm house.",
            "questions": turns("What color was the cat?", "Where did it live?"),
            "answers": turns("white", "in a barn"),
            "additional_answers": {"0": turns("White", "in A barn"), "1": turns("it was white", "a barn"),
                                   "2": turns("white", "near the farm house")},
        }
        for number, name in enumerate(PEOPLE)
    ],
}  # fmt: skip

SQUAD = {
    "version": "v2.0",
    "data": [
        {
            "title": f"The_house_of_{name}",
            "paragraphs": [
                {
                    "context": f"{name} has lived in the old house since 1990.",
                    "qas": [
                        {
                            "id": f"{name}1", "question": f"Where has {name} lived?", "is_impossible": False,
                            "answers": [{"text": "the old house", "answer_start": 18},
                                        {"text": "old house", "answer_start": 22}],
                        },
                        {
                            "id": f"{name}2", "question": f"Who sold it to {name}?", "is_impossible": True,
                            "answers": [], "plausible_answers": [{"text": name, "answer_start": 0}],
                        },
                    ],
                }
            ],
        }
        for name in PEOPLE
    ],
}  # fmt: skip

ITEMS = {"agieval_lsat_ar": 8, "lambada": 8, "xwinograd": 8, "coqa": 8, "squadv2": 16}


def write_lines(path: Path, rows: Iterable[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def write_all(folder: Path) -> None:
    """All five, each in the folder of its task, under the names that their publishers gave them."""
    write_lines(folder / "agieval_lsat_ar" / "lsat-ar.jsonl", LSAT)
    write_lines(folder / "lambada" / "lambada_test.jsonl", LAMBADA)
    write_lines(folder / "xwinograd" / "en.jsonl", XWINOGRAD)
    write_json(folder / "coqa" / "coqa-dev-v1.0.json", COQA)
    write_json(folder / "squadv2" / "dev-v2.0.json", SQUAD)
