"""What a cluster runs of every study that comes with AIRA fits into a Workflow, and every argument into a command."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from aira_lib.flow.scales import baseline_points
from aira_lib.flow.stage import Stage, stages_of
from aira_lib.remote.chunk import MOST_UNITS, Item, cut
from aira_lib.remote.fan_out import Orders, chunk_of
from aira_lib.remote.loop import Loop, loop_of
from aira_lib.settings import Settings
from aira_lib.study import Study
from aira_lib.study.reading import load_study
from pipelines.cluster import COMPOSE, cluster_pipeline
from pipelines.smoke.pipeline import smoke_pipeline
from pipelines.units.pipeline import units_pipeline
from tests.a_cluster import a_cluster
from tests.argo_nodes import Size, described, documents_of, size_of

MOST_STORED, LONGEST_ARGUMENT = 300 * 1024, 64 * 1024
FOLDER = Path(__file__).parents[2] / "pipelines/compose"
STUDIES = [path for path in sorted(FOLDER.glob("*.yaml")) if path.name != "metadata.yaml"]
CLUSTER = a_cluster()
STORE = "s3://a-bucket-of-a-company/with/a/prefix/of/some/length"
HEX = "0123456789abcdef" * 4


def _size(build: Callable[[], Any]) -> Size:
    return size_of(documents_of(build))


def _loops(study: Study) -> Iterator[Loop]:
    """Both loops, each with the fullest chunk that there can be of each scale; finds have the longer names."""
    yield loop_of("searches", study, "", Settings())
    points = baseline_points(study)
    if not points:
        return
    stages: tuple[Stage, ...] = tuple(stage for stage in stages_of(study) if stage.per == "point")
    designs = f"{STORE}/{study.name}/extrapolate/all-0123456789ab"
    items = [
        Item(name, f"{designs}#{name}", scale)
        for scale in study.trainable_scales()
        for number in range(MOST_UNITS)
        for name in [f"{points[-1].id}-a-find-of-a-longer-name-{number}"]
    ]
    yield Loop("points", study, stages, tuple(items), ())


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_workflow_of_a_study_fits(path: Path) -> None:
    study = load_study(path)
    sizes = {"the study": _size(partial(cluster_pipeline, COMPOSE, CLUSTER, study, 40))}
    orders = Orders(f"{STORE}/{study.name}/studies/0123456789ab.json#{HEX}", "0" * 36, MOST_UNITS)
    for loop in _loops(study):
        items = max(cut(loop.items, MOST_UNITS), key=len)
        chunk = chunk_of(loop, items, orders, CLUSTER, STORE, len(items))
        sizes[f"{len(items)} {loop.name}"] = _size(partial(units_pipeline, chunk))
    for what, size in sizes.items():
        print(f"{study.name}, {what}: {described(size)}")
        assert size.stored <= MOST_STORED, what
        assert size.argument <= LONGEST_ARGUMENT, what


def test_the_smoke_pipeline_fits_with_its_loops() -> None:
    size = _size(partial(smoke_pipeline, CLUSTER, STORE))
    print(f"smoke: {described(size)}")
    assert size.stored <= MOST_STORED
    assert size.argument <= LONGEST_ARGUMENT


def test_the_model_refuses_a_study_as_one_workflow() -> None:
    """170 searches in one loop are over Argo's mebibyte as soon as a few dozen trainings come to them."""
    study = load_study(next(path for path in STUDIES if path.stem == "paper"))
    loop = next(_loops(study))
    orders = Orders("s3://x#" + HEX, "0" * 36, 170)
    chunk = chunk_of(loop, loop.items, orders, CLUSTER, STORE, 170)
    size = _size(partial(units_pipeline, chunk))
    assert len(chunk.items) == 170
    assert size.nodes > 2000
    assert size.stored > 2 * MOST_STORED
