"""The Compose pipeline: a whole study, from search to report.

On a machine it is one pipeline, whose loops are its own (`compose_pipeline`). On a cluster it is a small one that has
the units of its loops made by runs of their own (`pipelines.cluster`): a Workflow of Argo holds few of them.
"""

from collections.abc import Callable
from typing import Any

from kfp import dsl

from aira_lib.study import Study
from pipelines.flow import REPORT, Flow


def compose_pipeline(
    parallelism: int,
    store: str = "runs",
    study: str | None = None,
    of: Study | None = None,
    points_at_once: int | None = None,
    run: str = dsl.PIPELINE_JOB_ID_PLACEHOLDER,
) -> Callable[..., Any]:
    """Build the pipeline for one machine.

    Args:
        parallelism: how many searches or pretraining points run at once. It is fixed in the compiled pipeline.
        store: default for the pipeline's parameter of that name.
        study: default for the pipeline's parameter of that name; None makes it required.
        of: the study whose tasks alone it has, such as none of pretraining where nothing is pretrained; None: any's.
        points_at_once: how many pretraining points run at once, where these take more of a machine than searches do.
        run: name of the run of the study; by default Kubeflow's id of it.
    """

    def compose(study: str, store: str = store) -> str:
        """Discover architectures: a study from search to report.

        Args:
            study: The study as JSON, or the text that stands for it.
            store: Where records and checkpoints are kept: a folder, file:// or s3://bucket/prefix.

        Returns:
            URI of the report's record.
        """
        flow = Flow({"study": study, "store": store}, run, parallelism, points_at_once or parallelism, of)
        return flow.up_to(REPORT).outputs["Output"]  # type: ignore[no-any-return]

    if study is not None:
        compose.__defaults__ = (study, store)
    pipeline: Callable[..., Any] = dsl.pipeline(name="aira-compose", description="Discover architectures.")(compose)
    return pipeline
