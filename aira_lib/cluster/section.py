"""What a platform team says of a cluster, once, in a file of its own: images, presets, names of secrets, addresses.

No study holds any of it, and no key. On a cluster the file lies in a ConfigMap that the chart `charts/aira` makes from
its values, and every pod finds it where AIRA_CLUSTER says; `aira compile --cluster FILE` reads it on a laptop.
It names secrets, and holds none.
"""

from typing import Annotated, Literal

from pydantic import Field

from aira_lib.section import Section

VARIABLE = "AIRA_CLUSTER"
"""Names the file."""

MOUNTED = "/etc/aira/cluster.yaml"
"""Where pods have it."""

PresetName = Literal["cpu", "gpu1", "gpu8", "multi-node"]


Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
"""Of an object, as Kubernetes takes it."""


class Toleration(Section):
    """Of a taint of nodes, as Kubernetes has it."""

    key: str | None = None
    operator: Literal["Equal", "Exists"] = "Exists"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None


class Preset(Section):
    """What a pod asks for, and is held to: requests and limits are one, for a quota refuses pods without either.

    What a study says in its section `resources` comes first.

    Attributes:
        cores: Of the container; AIRA_THREADS follows.
        memory_gib: GiB (2**30 bytes).
        gpus: Of a node.
        gpu_resource: As which they are asked for.
        shm_gib: Of /dev/shm, an emptyDir in memory, which counts as memory of the pod. None: a quarter of it.
        disk_gib: Of ephemeral storage.
        node_selector: Labels of the nodes.
        tolerations: Of their taints.
        deadline_hours: After which a pod is ended.
    """

    cores: float = Field(gt=0)
    memory_gib: float = Field(gt=0)
    gpus: int = Field(0, ge=0)
    gpu_resource: str = "nvidia.com/gpu"
    shm_gib: float | None = Field(None, gt=0)
    disk_gib: float = Field(20.0, gt=0)
    node_selector: dict[str, str] = {}
    tolerations: tuple[Toleration, ...] = ()
    deadline_hours: float = Field(48.0, gt=0)


class SecretReference(Section):
    """A Secret that exists in the namespace of the runs: its name, and the variables that its keys are shown as."""

    name: Name
    variables: dict[str, str]
    """Variable of the environment -> key of the Secret."""


ImageName = Literal["cpu", "train", "eval", "sandbox"]

EXTRAS: dict[ImageName, tuple[str, ...]] = {
    "cpu": ("kfp", "tracking-client", "report", "agents", "fast", "data"),
    "train": ("kfp", "tracking-client", "agents", "data", "gpu"),
    "eval": ("kfp", "tracking-client", "agents", "data", "gpu", "eval"),
    "sandbox": (),
}
"""What of pyproject.toml's extras each image has that is built from `images/`."""


class Images(Section):
    """Container images, each by digest (`REGISTRY/NAME@sha256:...`): a tag may mean another tomorrow.

    Attributes:
        cpu: Of all that needs no GPU.
        train: Of stages that are given GPUs.
        eval: Of the evaluation.
        sandbox: Of programs that agents wrote.
        extras: What each has, where they are not as `images/` builds them.
    """

    cpu: str
    train: str
    eval: str
    sandbox: str
    extras: dict[ImageName, tuple[str, ...]] = {}

    def extras_of(self, name: ImageName) -> tuple[str, ...]:
        """The extras that an image has."""
        return self.extras.get(name, EXTRAS[name])


class KubeflowSection(Section):
    """Kubeflow Pipelines: where its API is, in which namespace runs are, under which experiment.

    Attributes:
        api: Address of the API within the cluster.
        ui: Address that a person opens; None: none is told.
        namespace: Of the runs: a profile's in multi-user mode.
        service_account: Under which the tasks run.
        experiment: Of the runs.
        token: File with the token of the service account, of audience pipelines.kubeflow.org; it is read for each
            request, since it is exchanged now and then.
    """

    api: str = "http://ml-pipeline.kubeflow.svc.cluster.local:8888"
    ui: str | None = None
    namespace: str = "aira"
    service_account: Name = "aira-pipeline"
    experiment: str = "aira"
    token: str = "/var/run/secrets/kubeflow/pipelines/token"


class TrackingSection(Section):
    """MLflow: its address (None: nothing is logged there), and whether Kubeflow's own plugin makes runs, too."""

    uri: str | None = None
    plugin: bool = False


class CandidateSection(Section):
    """Where programs that agents write run: each in a pod of its own, in a namespace that holds nothing else.

    Attributes:
        namespace: Of these pods.
        service_account: There, without any right; pods get no token of it, and images by its secrets for registries.
        runtime_class: Such as gvisor; None: the cluster's default.
        user_namespace: Whether a pod has one (`hostUsers: false`), where the nodes can give it.
        user: By number, other than 0; None: the cluster gives one, as OpenShift does.
        cores: Of a pod, which agents are told; memory and disk are what the agent's `limits` say, and a little more.
        gpus: Of a pod whose agent asks for a GPU.
        gpu_resource: As which they are asked for.
        node_selector: Labels of the nodes.
        tolerations: Of their taints.
        start_seconds: How long a pod may wait for a node and its image before a search gives up.
        deadline_seconds: Of such a pod, however long its candidate may run.
    """

    namespace: Name = Field("aira-sandbox", max_length=63)
    service_account: Name = "aira-candidate"
    runtime_class: Name | None = None
    user_namespace: bool = False
    user: int | None = Field(10001, ge=1)
    cores: float = Field(4, gt=0)
    gpus: int = Field(1, ge=1)
    gpu_resource: str = "nvidia.com/gpu"
    node_selector: dict[str, str] = {}
    tolerations: tuple[Toleration, ...] = ()
    start_seconds: int = Field(1_800, ge=1)
    deadline_seconds: int = Field(86_400, ge=60)


class TrainingSection(Section):
    """Trainings of several nodes, as TrainJobs of Kubeflow Trainer 2.2 or newer.

    Attributes:
        runtime: Name of the TrainingRuntime (in the namespace of the runs).
        queue: LocalQueue of Kueue; None: there is no Kueue.
        priority_class: Of Kueue's workloads.
    """

    runtime: Name = "aira-torch"
    queue: Name | None = None
    priority_class: Name | None = None


class Cluster(Section):
    """One cluster.

    Attributes:
        store: Where records are kept: s3://bucket/prefix.
        images: See there.
        kubeflow: See there.
        tracking: See there.
        s3: The Secret with the store's credentials; None: pods have them from elsewhere (a role of the cloud).
        mlflow: The Secret with MLflow's login; None: it wants none.
        models: The Secret with keys of model providers; None: no searches with a language model.
        environment: Further variables of all pods, such as AWS_REGION; nothing secret.
        presets: Sizes of pods, by name; a name that is left out cannot be asked for.
        candidates: None: candidates run within the pod of their search, as isolated as that allows.
        training: None: no trainings of several nodes.
        confirm_gpu_hours: A run that is estimated to take more has to be confirmed where it is started; 50 core hours
            of pods without GPUs count as one.
    """

    store: str
    images: Images
    kubeflow: KubeflowSection = KubeflowSection()
    tracking: TrackingSection = TrackingSection()
    s3: SecretReference | None = None
    mlflow: SecretReference | None = None
    models: SecretReference | None = None
    environment: dict[str, str] = {}
    presets: dict[PresetName, Preset] = {
        "cpu": Preset(cores=4, memory_gib=16),
        "gpu1": Preset(cores=8, memory_gib=64, gpus=1, disk_gib=100),
        "gpu8": Preset(cores=64, memory_gib=512, gpus=8, disk_gib=500),
        "multi-node": Preset(cores=64, memory_gib=512, gpus=8, disk_gib=500, deadline_hours=168),
    }
    candidates: CandidateSection | None = None
    training: TrainingSection | None = None
    confirm_gpu_hours: float = Field(100.0, ge=0)
