"""A study as a cluster makes it, without pods, which `kfp.local` does not know.

python -m tests.cluster_study pipeline STORE OUTPUT    the whole smoke study; prints the URI of the report
python -m tests.cluster_study units REQUESTS           units of it, by what `run_text` takes and their stages, as JSON
"""

import json
import sys

from kfp import dsl, local

from aira_lib.flow.entry import run_text
from aira_lib.remote.shipped import shipped_study
from aira_lib.study.reading import parse_study
from pipelines.cluster import ClusterFlow, Form
from pipelines.flow import REPORT, Flow
from tests.a_cluster import a_cluster


class HereFlow(ClusterFlow):
    """Without pods."""

    ready = Flow.ready


def pipeline(store: str, output: str) -> None:
    """From begin to report: small tasks here, units by runs that they start."""
    study = parse_study(shipped_study("smoke"), "smoke")

    @dsl.pipeline(name="whole")
    def whole() -> str:
        flow = HereFlow(Form("aira", "aira", ""), study, a_cluster(), {"store": store}, 20)
        flow.run = "0c3d7b1e-0000-4000-8000-000000000000"
        flow.begin("smoke", "", {"evaluate.samples": 4.0}, "")
        return flow.up_to(REPORT).outputs["Output"]

    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=output, raise_on_error=True)
    print(whole().output)


def units(requests: str) -> None:
    """The stages of each, one after the other."""
    for request in json.loads(requests):
        left = ""
        for stage in request.pop("stages"):
            left = run_text(stage, inputs=[left] if left else [], **request)


if __name__ == "__main__":
    {"pipeline": pipeline, "units": units}[sys.argv[1]](*sys.argv[2:])
