"""The pipeline of a chunk: a loop over units, each of which passes through its stages."""

from collections.abc import Callable
from typing import Any

from kfp import dsl
from kfp.dsl.pipeline_config import PipelineConfig

from aira_lib.flow.stage import STAGES, stages_read
from aira_lib.remote.chunk import Chunk
from components.task import fitted
from pipelines.stages import component_of, with_plugins


def units_pipeline(chunk: Chunk) -> Callable[..., Any]:
    """Build the pipeline of a chunk; equal chunks give equal pipelines.

    Its Workflow ends by the chunk's deadline, and stays for as long as a job that it owns may go on.
    """
    kept = chunk.kept_seconds  # each of the three, for a cluster's own default of one would win over the general one
    config = PipelineConfig(
        ttl_seconds_after_finished=kept,
        ttl_seconds_after_success=kept,
        ttl_seconds_after_failure=kept,
        active_deadline_seconds=chunk.deadline_seconds,
    )

    def units() -> None:
        """Make units of a study; those that exist are found."""
        given = {"study": chunk.reference, "store": chunk.store, "run": chunk.run}
        left: dict[str, Any] = {}
        with dsl.ParallelFor(list(chunk.items), parallelism=chunk.at_once) as item:
            for name, pod in chunk.pods.items():
                stage = STAGES.named(name)
                reads = {other.leaves: left[other.name] for other in stages_read(stage) if other.name in left}
                task = component_of(stage)(**given, **{chunk.parameter: item}, **reads)
                left[name] = task.outputs["Output"]
                fitted(with_plugins(task), pod, {"aira/study": chunk.study, "aira/stage": name})

    pipeline: Callable[..., Any] = dsl.pipeline(name=chunk.name, pipeline_config=config)(units)
    return pipeline
