"""All journals become one table of distinct designs."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def archive(study: str, store: str, searches: str, run: str = "") -> str:
    """Merge the journals of all searches and return the URI of the archive.

    Args:
        study: The study as JSON, or the text that stands for it: URI#SHA-256.
        store: Where records are kept.
        searches: The text that stands for the list of the search records.
        run: Name of the run of the study that this is a part of.
    """
    from aira_lib.flow.entry import run_text

    return run_text("archive", study, store, inputs=[searches], run=run)
