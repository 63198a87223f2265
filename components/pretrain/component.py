"""One design is pretrained for one budget with one seed."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def pretrain(study: str, store: str, point: str, run: str = "") -> str:
    """Pretrain one point and return the URI of its checkpoint and loss curve, or of its failure.

    Args:
        study: The study as JSON, or the text that stands for it: URI#SHA-256.
        store: Where records are kept.
        point: Which point, as list_points gives it: URI of the designs, "#" and the point's name.
        run: Name of the run of the study that this is a part of.
    """
    from aira_lib.flow.entry import run_text

    return run_text("pretrain", study, store, unit=point, run=run)
