"""Blocks and whole designs are timed on the device at hand."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def latency(study: str, store: str, designs: str, run: str = "") -> str:
    """Time the designs of a study at the scale of its section `latency` and return the URI of the times.

    Args:
        study: The study as JSON, or the text that stands for it: URI#SHA-256.
        store: Where records are kept.
        designs: URI of the extrapolation record.
        run: Name of the run of the study that this is a part of.
    """
    from aira_lib.flow.entry import run_text

    return run_text("latency", study, store, inputs=[designs], run=run)
