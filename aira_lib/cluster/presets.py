"""What the pods of a stage get: a preset of the cluster, by what a study asks for in its section `resources`."""

import math

from aira_lib.cluster.pod import Pod
from aira_lib.cluster.section import MOUNTED, VARIABLE, Cluster, ImageName, Preset, PresetName, SecretReference
from aira_lib.errors import SpecError, nearest
from aira_lib.study import ResourcesAtScale, Study

SCRATCH = "/scratch"
"""Where a pod may write: a volume of its own, which ends with it."""

GPUS = "AIRA_GPUS"
"""Says in a pod how many GPUs it was given, for the stage to look whether they are there."""

WAITER = ResourcesAtScale(cores=1, memory_gib=4, deadline_hours=24 * 60)
"""Of a task that only starts runs and waits for them: it outlives the longest of them."""

_SEARCH, _SCORING = "search", ("evaluate", "downstream")


def pod_of(stage: str, study: Study, cluster: Cluster, scale: str | None = None) -> Pod:
    """What each pod of a stage's unit gets.

    Args:
        stage: its name.
        study: whose section `resources` says what is asked for.
        cluster: whose presets fill in the rest.
        scale: of the unit, where it has one.

    Raises:
        SpecError: the cluster has no such preset, or not so many GPUs a node.
    """
    asked = study.resources_of(stage, scale)
    place = f"resources.{stage}" + (f" at scale {scale}" if scale else "")
    return _pod(stage, asked, cluster, place)


def pod_asked_for(stage: str, asked: ResourcesAtScale, cluster: Cluster, place: str) -> Pod:
    """`pod_of` by what is asked for, which an error names by its place."""
    return _pod(stage, asked, cluster, place)


def waiting_pod(cluster: Cluster) -> Pod:
    """What a task gets that only starts runs and waits for them."""
    return _pod("waiter", WAITER, cluster, "a task that waits")


def _pod(stage: str, asked: ResourcesAtScale, cluster: Cluster, place: str) -> Pod:
    nodes, gpus = asked.nodes or 1, asked.gpus_per_node or 0
    name, preset = _preset(nodes, gpus, cluster, place)
    # Who asks for half the GPUs of a node gets half of all else.
    share = gpus / preset.gpus if gpus else 1.0
    cores, memory = asked.cores or preset.cores * share, asked.memory_gib or preset.memory_gib * share
    return Pod(
        preset=name,
        image_name=(image := _image(stage, gpus)),
        image=getattr(cluster.images, image),
        cores=cores,
        memory_gib=memory,
        gpus=gpus,
        gpu_resource=preset.gpu_resource,
        shm_gib=min(preset.shm_gib or memory / 4, memory),
        disk_gib=preset.disk_gib,
        nodes=nodes,
        node_selector=preset.node_selector,
        tolerations=preset.tolerations,
        deadline_seconds=round(3600 * (asked.deadline_hours or preset.deadline_hours)),
        secrets=_secrets(stage, cluster),
        variables=_variables(stage, cores, asked.ranks, gpus, cluster),
    )


def _preset(nodes: int, gpus: int, cluster: Cluster, place: str) -> tuple[PresetName, Preset]:
    name: PresetName = "multi-node" if nodes > 1 else "cpu" if not gpus else "gpu1" if gpus == 1 else "gpu8"
    if name not in cluster.presets:
        raise SpecError(f"{place} wants preset {name!r}, which this cluster lacks{nearest(name, cluster.presets)}")
    preset = cluster.presets[name]
    if gpus > preset.gpus:
        raise SpecError(
            f"{place}: {gpus} gpus_per_node, and a node of preset {name!r} has {preset.gpus}; ask for fewer"
        )
    return name, preset


def _image(stage: str, gpus: int) -> ImageName:
    return "eval" if stage in _SCORING else "train" if gpus else "cpu"


def _secrets(stage: str, cluster: Cluster) -> tuple[SecretReference, ...]:
    """The store's and MLflow's for all; keys of models for searches alone."""
    wanted = [cluster.s3, cluster.mlflow, cluster.models if stage == _SEARCH else None]
    return tuple(each for each in wanted if each)


def _variables(stage: str, cores: float, ranks: int, gpus: int, cluster: Cluster) -> dict[str, str]:
    threads = str(max(1, math.floor(cores / ranks)))
    tracked = {"MLFLOW_TRACKING_URI": cluster.tracking.uri} if cluster.tracking.uri else {}
    return {
        **cluster.environment,
        **tracked,
        **({GPUS: str(gpus)} if gpus else {}),
        "AIRA_STORE": cluster.store,
        "AIRA_SCRATCH": SCRATCH,
        "AIRA_THREADS": threads,
        "OMP_NUM_THREADS": threads,
        VARIABLE: MOUNTED,
    }
