"""Lists to loop over: a pipeline is the same for every study, its loops are not."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def list_searches(study: str) -> list[str]:
    """Name a study's searches, one for every agent and seed.

    Args:
        study: The study as JSON text.
    """
    from aira_lib.flow.entry import search_names

    return search_names(study)


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def list_points(study: str, store: str, designs: str) -> list[str]:
    """Name the pretraining points that a study wants of its designs.

    Args:
        study: The study as JSON text.
        store: Where records are kept.
        designs: URI of the extrapolation record.
    """
    from aira_lib.flow.entry import point_names

    return point_names(study, store, designs)


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def join(first: list[str], second: list[str]) -> list[str]:
    """Join two lists of records.

    Args:
        first: URIs of records.
        second: URIs of further ones.
    """
    return [*first, *second]
