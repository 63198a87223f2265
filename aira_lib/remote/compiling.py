"""Write the pipeline of a study for a cluster."""

import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

from aira_lib.cluster.reading import load_cluster
from aira_lib.cluster.section import Cluster
from aira_lib.errors import MissingDependency, UserError, nearest
from aira_lib.flow.checks import check_study, need_designs
from aira_lib.flow.pipelines import COMPOSE, pipeline_command
from aira_lib.remote.checks import check_cluster
from aira_lib.study import Study, canonical_json

SMOKE = "smoke"
MOST_BYTES = 64 * 1024
"""Of an argument: Argo keeps each several times, and the kernel takes twice as much."""

PIPELINES = (COMPOSE, "search", "scale", SMOKE)


def compile_study(
    study: Study | None, cluster: Path, output: Path, pipeline: str, parallelism: int, kubernetes: bool
) -> None:
    """Write a pipeline for a cluster, byte-identical for equal arguments.

    Args:
        study: what it runs; None: that is chosen where it is started.
        cluster: the file that says what the cluster is.
        output: the YAML file.
        pipeline: which, one of `PIPELINES`.
        parallelism: how many searches or pretraining points run at once, unless the form says otherwise.
        kubernetes: whether to write Pipeline and PipelineVersion objects.

    Raises:
        MissingDependency: kfp is not installed.
        UserError: no such pipeline, or it takes no study; the file's folder does not exist, or the study is too long,
            or one that the cluster cannot run.
    """
    if find_spec("kfp") is None:
        raise MissingDependency("compiling a pipeline", "kfp")
    if pipeline not in PIPELINES:
        raise UserError(f"--pipeline {pipeline}: there is none{nearest(pipeline, PIPELINES)}")
    known = load_cluster(cluster)
    if study is not None:
        _check(study, known, pipeline)
    if not output.absolute().parent.is_dir() or output.suffix != ".yaml":
        raise UserError(f"--output {output}: name a .yaml file in a folder that exists")
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        command = [*pipeline_command(pipeline), "compile", "--cluster", str(cluster.absolute())]
        command += ["--parallelism", str(parallelism), "--output", str(output)]
        if study is not None:
            file.write(canonical_json(study))  # the image that reads it is this version: the defaults are the same
            file.flush()
            command += ["--study", file.name]
        subprocess.run(command + ["--kubernetes"] * kubernetes, check=True)
    use = "keep it in git for Argo CD or Flux" if kubernetes else "upload it in the Kubeflow UI"
    runs = f"study {study.name}" if study else "a tiny study" if pipeline == SMOKE else "a study that its form names"
    print(f"{output}: {use}; it runs {runs}")


def _check(study: Study, cluster: Cluster, pipeline: str) -> None:
    if pipeline == SMOKE:
        raise UserError(f"--pipeline {SMOKE} has a study of its own; leave out {study.name}")
    if pipeline != COMPOSE:
        need_designs(study)
    check_study(study)
    check_cluster(study, cluster)
    if (size := len(canonical_json(study).encode())) > MOST_BYTES:
        raise UserError(
            f"study {study.name} is {size:,} bytes, and an argument of a task has {MOST_BYTES:,} at most; compile the "
            "pipeline without it, and give its form the URI of the study's file"
        )
