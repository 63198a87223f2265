"""What trains a language model, by name: `pretrain.trainer` of a study chooses one of `TRAINERS`.

A trainer of your own is a class that has the methods of `aira_lib.training.trainer.Trainer`, added to `TRAINERS` by a
module that AIRA_PLUGINS names (see `aira_lib.registry`). Where it has a `version`, raise it when the same point would
be trained otherwise: checkpoints of before are then not found.
"""

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


def _one_device(section: PretrainSection, point: PretrainPoint, data: "Batches", device: str) -> Trainer:
    from aira_lib.training.one_device import OneDeviceTrainer

    return OneDeviceTrainer(section, point, data, device)


TRAINERS.add("one-device", _one_device)
