"""The smoke pipeline: every component once, in one pipeline, with the smallest study that has all stages."""

from collections.abc import Callable
from typing import Any

from kfp import dsl

from aira_lib.cluster.section import Cluster
from aira_lib.remote.shipped import PRESETS, shipped_study
from aira_lib.study import Study, canonical_json
from aira_lib.study.reading import parse_study
from pipelines.cluster import NOTHING, Form, PodFlow
from pipelines.flow import REPORT, Flow

FORM = Form("aira-smoke-test", "aira-smoke-test", "A tiny whole study: whether this cluster runs AIRA.")
SMOKE = PRESETS[0]

AT_ONCE = 3


def smoke_pipeline(cluster: Cluster | None, store: str) -> Callable[..., Any]:
    """Build the pipeline.

    Args:
        cluster: for which; None: for this machine, where overrides are looked at and change nothing: kfp.local gives
            every output of another task in a loop the loop's item, so the study is a constant there.
        store: default for the pipeline's parameter of that name.
    """
    study = parse_study(shipped_study(SMOKE), SMOKE)

    def smoke(store: str = store, overrides: dict[str, Any] = NOTHING) -> str:
        """Run a tiny study from search to report.

        Args:
            store: Where records are kept.
            overrides: Other values of single settings, by dotted keys.

        Returns:
            URI of the report's record.
        """
        flow = PodFlow(None, cluster, {"store": store}, AT_ONCE) if cluster else _here(store, study)
        flow.begin(SMOKE, "", overrides, "")
        if cluster is None:
            flow.given = {**flow.given, "study": canonical_json(study)}
        return flow.up_to(REPORT).outputs["Output"]  # type: ignore[no-any-return]

    pipeline: Callable[..., Any] = dsl.pipeline(name=FORM.name, description=FORM.description)(smoke)
    return pipeline


def _here(store: Any, study: Study) -> Flow:
    return Flow({"store": store}, dsl.PIPELINE_JOB_ID_PLACEHOLDER, AT_ONCE, AT_ONCE, study)
