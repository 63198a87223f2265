"""One agent searches with one seed."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def search(study: str, store: str, unit: str) -> str:
    """Let one agent search and return the URI of its journal's record.

    Args:
        study: The study as JSON text.
        store: Where records are kept: a folder, file:// or s3://.
        unit: Which search, such as "greedy-offline.s0".
    """
    from aira_lib.flow.entry import run_text

    return run_text("search", study, store, unit=unit)
