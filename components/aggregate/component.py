"""The archive becomes base patterns."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def aggregate(study: str, store: str, archive: str, run: str = "") -> str:
    """Aggregate the archive by every method of the study and return the URI of the patterns.

    Args:
        study: The study as JSON, or the text that stands for it: URI#SHA-256.
        store: Where records are kept.
        archive: URI of the archive record.
        run: Name of the run of the study that this is a part of.
    """
    from aira_lib.flow.entry import run_text

    return run_text("aggregate", study, store, inputs=[archive], run=run)
