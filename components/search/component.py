"""One agent searches with one seed."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def search(study: str, store: str, unit: str, run: str = "") -> str:
    """Let one agent search and return the URI of its journal's record, or of its failure.

    Args:
        study: The study as JSON, or the text that stands for it: URI#SHA-256.
        store: Where records are kept: a folder, file:// or s3://.
        unit: Which search, such as "greedy-offline.s0".
        run: Name of the run of the study that this is a part of.
    """
    from aira_lib.flow.entry import run_text

    return run_text("search", study, store, unit=unit, run=run)
