"""The archive becomes base patterns."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def aggregate(study: str, store: str, archive: str) -> str:
    """Aggregate the archive by every method of the study and return the URI of the patterns.

    Args:
        study: The study as JSON text.
        store: Where records are kept.
        archive: URI of the archive record.
    """
    from aira_lib.flow.entry import run_text

    return run_text("aggregate", study, store, inputs=[archive])
