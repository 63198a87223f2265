"""One design is pretrained for one budget with one seed."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def pretrain(study: str, store: str, point: str) -> str:
    """Pretrain one point and return the URI of its checkpoint and loss curve.

    Args:
        study: The study as JSON text.
        store: Where records are kept.
        point: Which point, as list_points gives it: URI of the designs, "#" and the point's name.
    """
    from aira_lib.flow.entry import run_text

    return run_text("pretrain", study, store, unit=point)
