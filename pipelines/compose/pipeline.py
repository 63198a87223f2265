"""The Compose pipeline: search -> archive -> aggregate -> extrapolate -> pretrain -> evaluate -> report.

One definition serves the cluster and the laptop. It is the same for every study: the study travels as one JSON
string (Kubeflow turns numbers inside dicts and lists into floats), and the lists it loops over are made by tasks.
"""

from collections.abc import Callable
from typing import Any

from kfp import dsl

from components.aggregate import aggregate
from components.archive import archive
from components.evaluate import evaluate
from components.extrapolate import extrapolate
from components.plan import list_points, list_searches
from components.pretrain import pretrain
from components.report import report
from components.search import search


def compose_pipeline(
    parallelism: int, store: str = "runs", study: str | None = None, trains: bool = True
) -> Callable[..., Any]:
    """Build the pipeline.

    Args:
        parallelism: how many searches or pretraining points run at once. It is fixed in the compiled pipeline.
        store: default for the pipeline's parameter of that name.
        study: default for the pipeline's parameter of that name (JSON text); None makes it required.
        trains: whether to pretrain; kfp.local cannot collect what a loop over nothing gives, so a study on this
            machine that pretrains nothing is run without that loop.
    """

    def compose(study: str, store: str = store) -> str:
        """Discover architectures: a study from search to report.

        Args:
            study: The study as JSON text (`aira compile` fills it in from a YAML file).
            store: Where records and checkpoints are kept: a folder, file:// or s3://bucket/prefix.

        Returns:
            URI of the report's record.
        """
        with dsl.ParallelFor(list_searches(study=study).output, parallelism=parallelism) as unit:
            found = search(study=study, store=store, unit=unit).set_caching_options(False)
        table = archive(study=study, store=store, searches=dsl.Collected(found.output)).set_caching_options(False)
        patterns = aggregate(study=study, store=store, archive=table.output).set_caching_options(False)
        designs = extrapolate(study=study, store=store, patterns=patterns.output).set_caching_options(False)
        runs: Any = []
        scores: Any = []
        if trains:
            points = list_points(study=study, store=store, designs=designs.output).set_caching_options(False)
            with dsl.ParallelFor(points.output, parallelism=parallelism) as point:
                # A point names its record of designs: kfp.local gives every outside output in a loop the loop's item.
                trained = pretrain(study=study, store=store, point=point).set_caching_options(False)
                scored = evaluate(study=study, store=store, point=point, trained=trained.output)
                scored.set_caching_options(False)
            runs, scores = dsl.Collected(trained.output), dsl.Collected(scored.output)
        page = report(
            study=study,
            store=store,
            designs=designs.output,
            searches=dsl.Collected(found.output),
            archive=table.output,
            patterns=patterns.output,
            trained=runs,
            scores=scores,
        ).set_caching_options(False)
        return page.outputs["Output"]  # type: ignore[no-any-return]

    if study is not None:
        compose.__defaults__ = (study, store)
    pipeline: Callable[..., Any] = dsl.pipeline(name="aira-compose", description="Discover architectures.")(compose)
    return pipeline
