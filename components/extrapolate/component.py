"""Base patterns become designs at target scales."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def extrapolate(study: str, store: str, patterns: str, run: str = "") -> str:
    """Scale every pattern and baseline to every scale of the study and return the URI of the designs.

    Args:
        study: The study as JSON, or the text that stands for it: URI#SHA-256.
        store: Where records are kept.
        patterns: URI of the aggregation record.
        run: Name of the run of the study that this is a part of.
    """
    from aira_lib.flow.entry import run_text

    return run_text("extrapolate", study, store, inputs=[patterns], run=run)
