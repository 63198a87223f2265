"""What is refused of a study before a cluster is to run it, as far as its file and the cluster's tell."""

from pathlib import PurePosixPath

from aira_lib.agents.providers import provider_of
from aira_lib.cluster.pod import Pod
from aira_lib.cluster.presets import pod_of
from aira_lib.cluster.section import Cluster
from aira_lib.errors import UserError
from aira_lib.flow.stage import Stage, stages_of
from aira_lib.study import Study

NOT_TRAINED = ("bytes", "words")
"""Tokenizers that need no package."""


def check_cluster(study: Study, cluster: Cluster) -> None:
    """Refuse a study that a cluster cannot run as it stands.

    Raises:
        UserError: a preset or GPUs that it lacks, an image without packages that a stage needs, agents that call models
            where it has no keys for them, trainings of several nodes where it has none, files of one machine, or a name
            that no label of Kubernetes can have.
    """
    if study.name.endswith("-"):
        raise UserError(f"name: {study.name!r} ends in a dash, as no label of a pod can; choose another")
    for stage in stages_of(study):
        for pod in pods_of(stage, study, cluster).values():
            _check_pod(stage.name, pod, study, cluster)
    _check_models(study, cluster)
    _check_files(study)


def pods_of(stage: Stage, study: Study, cluster: Cluster) -> dict[str | None, Pod]:
    """What the units of a stage get, by scale where they have one."""
    scales: tuple[str | None, ...] = study.trainable_scales() if stage.per == "point" else (None,)
    return {scale: pod_of(stage.name, study, cluster, scale) for scale in scales}


def extras_wanted(stage: str, study: Study) -> dict[str, str]:
    """The extras that a stage of a study needs, each with what of the study wants it."""
    if stage == "report":
        return {"report": "the report"}
    if stage == "search":
        named = {f"model {name!r}": name for agent in study.agents for name in agent.models}
        found = {extra: what for what, name in named.items() for extra in provider_of(name).extras(name)}
        return found | _of_text(study.proxy.language.tokenizer, study.proxy.language.paths)
    if stage not in ("pretrain", "evaluate", "downstream"):
        return {}
    asked = {"eval": "scoring downstream tasks"} if stage == "downstream" else {}
    return asked | _of_text(study.pretrain.data.tokenizer, ())


def _of_text(tokenizer: str, paths: tuple[str, ...]) -> dict[str, str]:
    trained = {"data": f"tokenizer {tokenizer!r}"} if tokenizer and tokenizer not in NOT_TRAINED else {}
    hub = next((path for path in paths if path.startswith("hf://")), None)
    return trained | ({"eval": f"text {hub}"} if hub else {})


def _check_pod(stage: str, pod: Pod, study: Study, cluster: Cluster) -> None:
    has = cluster.images.extras_of(pod.image_name)
    for extra, what in extras_wanted(stage, study).items():
        if extra not in has:
            raise UserError(
                f"{what} needs the extra {extra!r}, which image {pod.image_name!r} of stage {stage} lacks (it has "
                f"{', '.join(has) or 'none'}); build one with it, and say so in images.extras.{pod.image_name} of the "
                "cluster's file"
            )
    if pod.nodes > 1 and cluster.training is None:
        raise UserError(
            f"resources.{stage}: {pod.nodes} nodes, and the cluster's file says nothing of trainings of several "
            "(training); add it where Kubeflow Trainer is installed, or ask for one node"
        )


def _check_models(study: Study, cluster: Cluster) -> None:
    for agent in study.agents:
        for name in agent.models:
            if provider_of(name).over_network and cluster.models is None:
                raise UserError(
                    f"agent {agent.name!r}: model {name!r} wants a key, and the cluster's file names no secret with "
                    "keys of models (models); add it"
                )


def _check_files(study: Study) -> None:
    """Refuse relative paths: a pod would look for them in a working folder of its own."""
    data, language = study.pretrain.data, study.proxy.language
    named = {
        "pretrain.data.shards": (data.shards,) if data.shards else (),
        "pretrain.data.paths": data.paths,
        "proxy.language.paths": language.paths,
        "proxy.language.test_paths": language.test_paths,
    }
    if study.downstream:
        if not study.downstream.data:
            raise UserError(
                "downstream.data: pods have no folder of this machine; copy the one that `make eval-data` fills to a "
                "bucket, and name it: s3://BUCKET/PREFIX (or an absolute path that the image has)"
            )
        named["downstream.data"] = (study.downstream.data,)
    for key, paths in named.items():
        for path in paths:
            if "://" not in path and not PurePosixPath(path).is_absolute():
                raise UserError(
                    f"{key}: {path!r} is a path of this machine, and pods have others; name s3://BUCKET/PREFIX, or an "
                    "absolute path that the image has"
                )
