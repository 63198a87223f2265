"""The model that a training left."""

from pathlib import Path

from aira_lib.architecture.pattern import parse
from aira_lib.errors import UserError
from aira_lib.models.language_model import LanguageModel
from aira_lib.records import TrainingRun
from aira_lib.training import checkpoint


def trained_model(run: TrainingRun, record: Path) -> LanguageModel:
    """The model of a run with the weights of the final checkpoint in its record, on the CPU.

    Raises:
        UserError: the record has no readable checkpoint.
    """
    newest = checkpoint.latest(record, parts=("model",))
    if newest is None:
        raise UserError(f"{record}: no whole checkpoint; remove the folder and run `aira pretrain` again")
    design = run.point.design
    model = LanguageModel(parse(design.pattern), design.scale)
    model.load_state_dict(newest[1]["model"])
    return model.eval()
