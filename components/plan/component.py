"""Lists to loop over: a pipeline is the same for every study, its loops are not."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def list_searches(study: str, store: str) -> list[str]:
    """Name a study's searches, one for every agent and seed.

    Args:
        study: The study as JSON, or the text that stands for it: URI#SHA-256.
        store: Where records are kept.
    """
    from aira_lib.flow.entry import search_names

    return search_names(study, store)


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def list_points(study: str, store: str, designs: str) -> list[str]:
    """Name the pretraining points that a study wants of its designs.

    Args:
        study: The study as JSON, or the text that stands for it: URI#SHA-256.
        store: Where records are kept.
        designs: URI of the extrapolation record.
    """
    from aira_lib.flow.entry import point_names

    return point_names(study, store, designs)


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def collect(study: str, store: str, run: str, stages: list[str]) -> str:
    """List the records that stages have left in a run of a study, and return the text that stands for the list.

    Args:
        study: The study as JSON, or the text that stands for it: URI#SHA-256.
        store: Where records are kept.
        run: Name of the run.
        stages: Names of the stages, each of which has come to its end.
    """
    from aira_lib.flow.entry import collect as collect_records

    return collect_records(study, store, run, stages)
