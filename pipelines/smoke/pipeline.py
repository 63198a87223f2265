"""The smoke pipeline: every component once, in one pipeline, with the smallest study that has all stages."""

from collections.abc import Callable
from typing import Any

from kfp import dsl

from aira_lib.cluster.section import Cluster
from aira_lib.remote.shipped import PRESETS
from pipelines.cluster import NOTHING, Form, PodFlow
from pipelines.flow import REPORT, Flow

FORM = Form("aira-smoke", "A tiny whole study: whether this cluster runs AIRA.")
SMOKE = PRESETS[0]

AT_ONCE = 3


def smoke_pipeline(cluster: Cluster | None, store: str) -> Callable[..., Any]:
    """Build the pipeline.

    Args:
        cluster: for which; None: for this machine.
        store: default for the pipeline's parameter of that name.
    """

    def smoke(store: str = store, overrides: dict[str, Any] = NOTHING) -> str:
        """Run a tiny study from search to report.

        Args:
            store: Where records are kept.
            overrides: Other values of single settings, by dotted keys.

        Returns:
            URI of the report's record.
        """
        given = {"store": store}
        run = dsl.PIPELINE_JOB_ID_PLACEHOLDER
        flow = PodFlow(None, cluster, given, AT_ONCE) if cluster else Flow(given, run, AT_ONCE, AT_ONCE)
        flow.begin(SMOKE, "", overrides, "")
        return flow.up_to(REPORT).outputs["Output"]  # type: ignore[no-any-return]

    pipeline: Callable[..., Any] = dsl.pipeline(name=FORM.name, description=FORM.description)(smoke)
    return pipeline
