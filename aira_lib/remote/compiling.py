"""Write the pipeline of a study for a cluster."""

import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

from aira_lib.cluster.reading import load_cluster
from aira_lib.errors import MissingDependency, UserError
from aira_lib.flow.checks import check_study, need_designs
from aira_lib.flow.pipelines import pipeline_command
from aira_lib.remote.checks import check_cluster
from aira_lib.study import Study, canonical_json


def compile_study(study: Study, cluster: Path, output: Path, parallelism: int, kubernetes: bool) -> None:
    """Write the pipeline of a study for a cluster, byte-identical for equal arguments.

    Args:
        study: what it runs unless its parameters say otherwise.
        cluster: the file that says what the cluster is.
        output: the YAML file.
        parallelism: how many searches or pretraining points run at once.
        kubernetes: whether to write Pipeline and PipelineVersion objects.

    Raises:
        MissingDependency: kfp is not installed.
        UserError: the file's folder does not exist, or the cluster cannot run the study.
    """
    if find_spec("kfp") is None:
        raise MissingDependency("compiling a pipeline", "kfp")
    need_designs(study)
    check_study(study)
    check_cluster(study, load_cluster(cluster))
    if not output.absolute().parent.is_dir() or output.suffix != ".yaml":
        raise UserError(f"--output {output}: name a .yaml file in a folder that exists")
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        file.write(canonical_json(study))  # the image that reads it is this version of AIRA: the defaults are the same
        file.flush()
        command = [*pipeline_command(), "compile", "--study", file.name, "--cluster", str(cluster.absolute())]
        command += ["--parallelism", str(parallelism), "--output", str(output)]
        subprocess.run(command + ["--kubernetes"] * kubernetes, check=True)
    use = "keep it in git for Argo CD or Flux" if kubernetes else "upload it in the Kubeflow UI"
    print(f"{output}: {use}; started as it is, it runs study {study.name}")
