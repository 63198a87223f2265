"""One design is pretrained for one budget with one seed."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def pretrain(study: str, store: str, designs: str, point: str) -> str:
    """Pretrain one point and return the URI of its checkpoint and loss curve.

    Args:
        study: The study as JSON text.
        store: Where records are kept.
        designs: URI of the extrapolation record.
        point: Which point, as named by list_points.
    """
    from aira_lib.stages import run_text

    return run_text("pretrain", study, store, unit=point, inputs=[designs])
