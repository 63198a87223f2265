"""Kubeflow components of stages of somebody's own: in a module of its own, as the stages say."""

from kfp import dsl


@dsl.component(base_image="aira-python", install_kfp_package=False)
def weigh(study: str, store: str, point: str, trained: str, run: str = "") -> str:
    """Weigh a checkpoint."""
    from aira_lib.flow.entry import run_text

    return run_text("weigh", study, store, unit=point, inputs=[trained], run=run)


@dsl.component(base_image="aira-python", install_kfp_package=False)
def taste(study: str, store: str, point: str, trained: str, run: str = "") -> str:
    """Taste a checkpoint, where the study asks for that."""
    from aira_lib.flow.entry import run_text

    return run_text("taste", study, store, unit=point, inputs=[trained], run=run)


@dsl.component(base_image="aira-python", install_kfp_package=False)
def total(study: str, store: str, points: str, run: str = "") -> str:
    """Sum over all pretraining points."""
    from aira_lib.flow.entry import run_text

    return run_text("total", study, store, inputs=[points], run=run)
