"""The Kubeflow component of a stage of somebody's own: in a module of its own, as the stage says."""

from kfp import dsl


@dsl.component(base_image="aira-python:0.1.0", install_kfp_package=False)
def weigh(study: str, store: str, point: str, trained: str, run: str = "") -> str:
    """Weigh a checkpoint."""
    from aira_lib.flow.entry import run_text

    return run_text("weigh", study, store, unit=point, inputs=[trained], run=run)
