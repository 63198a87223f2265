"""What trains a language model, by name: `pretrain.trainer` of a study chooses one of `TRAINERS`.

A trainer of your own is a class that has the methods of `aira_lib.training.trainer.Trainer`, added to `TRAINERS` by a
module that AIRA_PLUGINS names (see `aira_lib.registry`). Where it has a `version`, raise it when the same point would
be trained otherwise: checkpoints of before are then not found. One that several ranks can share has a true
`several_ranks`; each rank then makes one, in a process that has joined the others by `torch.distributed`.
"""

from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from aira_lib.errors import UserError
from aira_lib.identity import owner
from aira_lib.records import PretrainPoint
from aira_lib.registry import Registry
from aira_lib.study import PretrainSection
from aira_lib.training.trainer import Trainer, TrainerFactory

if TYPE_CHECKING:
    from aira_lib.datasets.batches import Batches

TRAINERS: Registry[TrainerFactory] = Registry("trainer")


def check_trainer(section: PretrainSection) -> None:
    """Refuse a name that no trainer has: where a study is read, before its searches.

    Raises:
        UserError: with the nearest name.
    """
    try:
        TRAINERS.named(section.trainer)
    except UserError as error:
        raise UserError(f"pretrain.trainer: {error}") from None


def trainer_in_key(name: str) -> dict[str, str]:
    """What a key holds of the code of a trainer: whose it is and its version, nothing where it comes with AIRA."""
    factory = TRAINERS.named(name)
    code = owner(factory)
    return {"trainer_code": f"{code} {getattr(factory, 'version', 1)}"} if code else {}


def check_windows(ranks: int, rows: int) -> None:
    """Refuse more ranks than a step has windows.

    Raises:
        UserError: there is not a window for each.
    """
    if rows < ranks:
        raise UserError(
            f"{ranks} ranks share the {rows} windows of a step, which is less than one each; take {rows} ranks at "
            "most, or raise the scale's tokens_per_step"
        )


def is_for_several(name: str) -> bool:
    """Whether several ranks can train together with a trainer. Its checkpoints are then those of ranks, even of one."""
    return bool(getattr(TRAINERS.named(name), "several_ranks", False))


def check_ranks(section: PretrainSection, ranks: int) -> None:
    """Refuse several ranks for a trainer that trains on one.

    Raises:
        UserError: naming those that can.
    """
    if ranks == 1 or is_for_several(section.trainer):
        return
    able = [name for name in TRAINERS if is_for_several(name)]
    raise UserError(
        f"pretrain.trainer: {section.trainer!r} trains on one rank, and resources give it {ranks}; "
        f"valid for several: {', '.join(able)}"
    )


@dataclass(frozen=True)
class _BuiltIn:
    """A trainer that comes with AIRA: its class is imported, and PyTorch with it, where one is made."""

    place: str
    several_ranks: bool = False

    def __call__(self, section: PretrainSection, point: PretrainPoint, data: "Batches", device: str) -> Trainer:
        made: Trainer = resolve_name(self.place)(section, point, data, device)
        return made


TRAINERS.add("one-device", _BuiltIn("aira_lib.training.one_device:OneDeviceTrainer"))
TRAINERS.add("ddp", _BuiltIn("aira_lib.training.ddp:DdpTrainer", several_ranks=True))
TRAINERS.add("fsdp", _BuiltIn("aira_lib.training.fsdp:FsdpTrainer", several_ranks=True))
