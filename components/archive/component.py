"""All journals become one table of distinct designs."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def archive(study: str, store: str, searches: list[str]) -> str:
    """Merge the journals of all searches and return the URI of the archive.

    Args:
        study: The study as JSON text.
        store: Where records are kept.
        searches: URIs of the search records.
    """
    from aira_lib.flow.entry import run_text

    return run_text("archive", study, store, inputs=searches)
