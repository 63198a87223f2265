"""What trains a language model, by name: `pretrain.trainer` of a study chooses one of `TRAINERS`.

A trainer of your own is a class that has the methods of `aira_lib.training.trainer.Trainer`, added to `TRAINERS` by a
module that AIRA_PLUGINS names (see `aira_lib.registry`).
"""

from typing import TYPE_CHECKING

from aira_lib.errors import UserError
from aira_lib.records import PretrainPoint
from aira_lib.registry import Registry
from aira_lib.study import PretrainSection
from aira_lib.training.trainer import Trainer, TrainerFactory

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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


def _one_device(section: PretrainSection, point: PretrainPoint, data: "NDArray[np.uint8]", device: str) -> Trainer:
    from aira_lib.training.one_device import OneDeviceTrainer

    return OneDeviceTrainer(section, point, data, device)


TRAINERS.add("one-device", _one_device)
