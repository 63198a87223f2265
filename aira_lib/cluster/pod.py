"""What a pod of one stage gets: plain data, which a component's task and a TrainJob's manifest are made of."""

from dataclasses import dataclass, field

from aira_lib.cluster.section import ImageName, PresetName, SecretReference, Toleration


@dataclass(frozen=True)
class Pod:
    """One pod (of a training of several nodes: each of them).

    Attributes:
        preset: What it was made of.
        image_name: Which of the cluster's images it has.
        image: The same, by digest.
        cores: Request and limit.
        memory_gib: The same.
        gpus: The same, as `gpu_resource`.
        gpu_resource: Such as nvidia.com/gpu.
        shm_gib: Of /dev/shm.
        disk_gib: Of ephemeral storage.
        nodes: How many such pods a unit has; more than one: they are a TrainJob's.
        node_selector: Labels of nodes.
        tolerations: Of their taints.
        deadline_seconds: After which it is ended.
        secrets: Those of this stage, and no other.
        variables: With values that anybody may see; AIRA_THREADS among them.
    """

    preset: PresetName
    image_name: ImageName
    image: str
    cores: float
    memory_gib: float
    gpus: int
    gpu_resource: str
    shm_gib: float
    disk_gib: float
    nodes: int
    node_selector: dict[str, str]
    tolerations: tuple[Toleration, ...]
    deadline_seconds: int
    secrets: tuple[SecretReference, ...]
    variables: dict[str, str] = field(default_factory=dict)
