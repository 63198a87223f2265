"""A loop of a study is cut into runs of its own, which are started, watched and adopted: one Workflow holds few."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def fan_out(loop: str, study: str, store: str, run: str, designs: str, at_once: int, start: bool) -> str:
    """Have the units of a loop made, and return the text that stands for the list of their records.

    Args:
        loop: searches, or points.
        study: The study as JSON, or the text that stands for it: URI#SHA-256.
        store: Where records are kept.
        run: Id of the run that this is a task of.
        designs: Of points: URI of the extrapolation record; empty for searches.
        at_once: How many units may be worked on at once.
        start: Whether to start what is not there; else it counts as failed.
    """
    from aira_lib.remote.entry import fan_out_text

    return fan_out_text(loop, study, store, run, designs, at_once, start)
