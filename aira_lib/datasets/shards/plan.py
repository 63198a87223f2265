"""What a folder of shards is made of and how: decided before any is written, kept beside them until all are there."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from aira_lib.datasets.shards.inputs import Input, Inputs
from aira_lib.datasets.shards.manifest import TokenizerEntry
from aira_lib.datasets.shards.part import PARTS_FOLDER, Part, PartRecord
from aira_lib.datasets.shards.tokenizer import BYTES, Engine
from aira_lib.errors import UserError
from aira_lib.records import Row
from aira_lib.store import Store, place_of

PLAN = f"{PARTS_FOLDER}/plan.json"
LOCK = f"{PARTS_FOLDER}/lock"
MADE_BY = "aira data prepare"
DEFAULT_ONE_IN = 100


@dataclass(frozen=True)
class Preparation:
    """What a user asks for.

    Attributes:
        places: the inputs, as `find_inputs` takes them.
        tokenizer: ``bytes``, a ``tokenizer.json``, or a name on Hugging Face.
        text_field: the field or column that holds the text.
        shard_tokens: most tokens of a shard.
        validation_one_in: one document in so many is held out for validation by a hash of its content; 0: none.
        validation_tokens: about as many tokens are held out at most, what is above is left out; None: no limit.
        part_bytes: bytes of input that one process reads at a time; None: by the size of all.
    """

    places: tuple[str, ...]
    tokenizer: str = BYTES
    text_field: str = "text"
    shard_tokens: int = 1 << 27
    validation_one_in: int = DEFAULT_ONE_IN
    validation_tokens: int | None = None
    part_bytes: int | None = None


class Plan(Row):
    """All that determines the shards. Of local files name and size count, and until all is done the time of change."""

    version: Literal[1] = 1
    tokenizer: TokenizerEntry
    text_field: str
    shard_tokens: int
    validation_one_in: int
    validation_tokens: int | None
    parts: int
    inputs: tuple[Input, ...]

    def source(self) -> dict[str, Any]:
        """What a manifest says of it: no tokenizer, which it has elsewhere, and no tags, which a copy changes."""
        made = self.model_dump(mode="json", exclude={"tokenizer", "version"})
        return {
            "made_by": MADE_BY,
            **made,
            "inputs": [{k: each[k] for k in ("name", "bytes")} for each in made["inputs"]],
        }


def plan_of(asked: Preparation, inputs: Inputs, tokenizer: TokenizerEntry) -> Plan:
    """The plan of what is asked for."""
    return Plan(
        tokenizer=tokenizer, text_field=asked.text_field, shard_tokens=asked.shard_tokens,
        validation_one_in=asked.validation_one_in, validation_tokens=asked.validation_tokens,
        parts=len(inputs.parts), inputs=inputs.entries,
    )  # fmt: skip


def parts_of(asked: Preparation, inputs: Inputs, output: str, digest: str, engine: Engine) -> list[Part]:
    """What each process is told. The limit of validation is shared by size, so that no part waits for another."""
    sizes = [sum(piece.bytes for piece in pieces) for pieces in inputs.parts]
    weights = sizes if all(sizes) else [1] * len(sizes)
    total, before, found = sum(weights), 0, []
    for number, (pieces, weight) in enumerate(zip(inputs.parts, weights, strict=True)):
        most = asked.validation_tokens
        share = None if most is None else most * (before + weight) // total - most * before // total
        before += weight
        found.append(
            Part(
                number=number, pieces=pieces, output=output, tokenizer=asked.tokenizer, digest=digest, engine=engine,
                text_field=asked.text_field, shard_tokens=asked.shard_tokens,
                validation_one_in=asked.validation_one_in, validation_tokens=share,
            )
        )  # fmt: skip
    return found


def check_apart(places: Sequence[str], output: Store) -> None:
    """Refuse to write into a folder that is read.

    Raises:
        UserError: the output lies in one of the inputs, or is one.
    """
    inside = Path(place_of(output.uri)).resolve()
    for place in (each for each in places if "://" not in each):
        folder = Path(place).expanduser().resolve()
        if folder == inside or folder in inside.parents:
            raise UserError(
                f"{place_of(output.uri)}: lies in {place}, which is read; name another folder for the shards"
            )
    for place in (each.rstrip("/") for each in places if each.startswith("s3://")):
        if output.uri == place or output.uri.startswith(f"{place}/"):
            raise UserError(f"{output.uri}: lies in {place}, which is read; name another place for the shards")


def begun(store: Store, plan: Plan) -> bool:
    """Whether a store has this plan already. Nothing is written.

    Raises:
        UserError: the store has shards of another plan, or holds other things.
    """
    shown, asked = place_of(store.uri), plan.model_dump(mode="json")
    if not store.exists(PLAN):
        if others := [name for name in store.list() if name != LOCK]:
            raise UserError(f"{shown}: has other things in it, such as {others[0]}; name an empty or new folder")
        return False
    try:
        there = Plan.model_validate_json(store.read(PLAN)).model_dump(mode="json")
    except ValueError:
        raise UserError(f"{store.shown(PLAN)}: not a plan of shards; remove the folder and begin anew") from None
    if there != asked and _made_any(store):
        refuse_others(shown, there, asked)
    return there == asked


def begin(store: Store, plan: Plan) -> None:
    """Leave the plan in a store that is empty, or in the place of another plan of which nothing was made.

    Raises:
        UserError: as `begun`.
    """
    if begun(store, plan):
        return
    for name in store.list():  # what the other plan left half-made; the plan goes last, so that this can go on
        if name not in (PLAN, LOCK) and _LEFT.fullmatch(name):
            store.remove(name)
    store.write(PLAN, plan.json_line().encode())


_LEFT = re.compile(rf"{PARTS_FOLDER}/\d+\.json|(train|validation)-\d+-\d+\.(bin|idx)|tokenizer\.json")


def _made_any(store: Store) -> bool:
    """Whether a part is finished that has shards."""
    names = (name for name in store.list(PARTS_FOLDER) if name not in (PLAN, LOCK))
    return any(any(PartRecord.model_validate_json(store.read(name)).shards.values()) for name in names)


def refuse_others(shown: str, there: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Compare what is there with what is asked for, setting by setting.

    Raises:
        UserError: they differ; it names the first difference.
    """
    for name, value in asked.items():
        if there.get(name) != value:
            raise UserError(f"{shown}: holds shards of another preparation ({_difference(name, there, value)}); "
                            "name another folder, or remove this one")  # fmt: skip


def _difference(name: str, there: Mapping[str, Any], asked: Any) -> str:
    old = there.get(name)
    if name == "tokenizer" and isinstance(old, dict):
        return f"tokenizer {old.get('name')}, not {asked['name']}" + (
            " as it is now" if old.get("name") == asked["name"] else ""
        )
    if name != "inputs" or not isinstance(old, list):
        return f"{name} {old}, not {asked}"
    names = [[each.get("name") for each in some] for some in (old, asked)]
    if names[0] != names[1]:
        return f"{len(old)} inputs, not these {len(asked)}"
    changed = next(new["name"] for before, new in zip(old, asked, strict=True) if before != new)
    return f"{changed} has changed since"
