"""One final checkpoint is scored on downstream tasks."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def downstream(study: str, store: str, point: str, trained: str, run: str = "") -> str:
    """Score one pretrained point on downstream tasks and return the URI of its scores; empty: the study wants none.

    Args:
        study: The study as JSON, or the text that stands for it: URI#SHA-256.
        store: Where records are kept.
        point: Which point, as list_points gives it: URI of the designs, "#" and the point's name.
        trained: URI of the pretraining record; of a failure, which is then returned, nothing is scored.
        run: Name of the run of the study that this is a part of.
    """
    from aira_lib.flow.entry import run_text

    return run_text("downstream", study, store, unit=point, inputs=[trained], run=run)
