"""The pipeline of a chunk: a loop over units, each of which passes through its stages."""

from collections.abc import Callable
from typing import Any

from kfp import dsl
from kfp.dsl.pipeline_config import PipelineConfig

from aira_lib.flow.stage import STAGES
from aira_lib.remote.chunk import Chunk
from components.task import fitted
from pipelines.stages import component_of, labels_of, read_by, with_plugins


def units_pipeline(chunk: Chunk) -> Callable[..., Any]:
    """Build the pipeline of a chunk; equal chunks give equal pipelines.

    Its Workflow ends by the chunk's deadline, and stays for as long as a job that it owns may go on.
    """
    config = PipelineConfig(
        ttl_seconds_after_finished=chunk.kept_seconds, active_deadline_seconds=chunk.deadline_seconds
    )

    def units() -> None:
        """Make units of a study; those that exist are found."""
        given = {"study": chunk.reference, "store": chunk.store, "run": chunk.run}
        left: dict[str, Callable[[], Any]] = {}
        with dsl.ParallelFor(list(chunk.items), parallelism=chunk.at_once) as item:
            for name, pod in chunk.pods.items():
                stage = STAGES.named(name)
                task = component_of(stage)(**given, **{chunk.parameter: item}, **read_by(stage, left))
                left[name] = lambda output=task.output: output
                fitted(with_plugins(task), pod, labels_of(chunk.study, name))

    pipeline: Callable[..., Any] = dsl.pipeline(name=chunk.name, pipeline_config=config)(units)
    return pipeline
