"""What a task's pod gets, written onto the task: the one place that knows how Kubeflow Pipelines says it."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from kfp import kubernetes

from aira_lib.cluster.pod import Pod
from aira_lib.cluster.presets import SCRATCH
from aira_lib.cluster.section import MOUNTED

CONFIG_MAP = "aira-cluster"
"""Made by the chart `charts/aira`: what is said of the cluster."""

_FIELDS = {"AIRA_POD": "metadata.name", "AIRA_WORKFLOW": "metadata.labels['workflows.argoproj.io/workflow']"}


def fitted(task: Any, pod: Pod, labels: Mapping[str, str]) -> Any:
    """Give a task what its pod is to get; the task.

    Requests are limits: a quota refuses pods without either, and neighbours do not crowd each other out. Kubeflow's
    cache is off, for a stage asks the store itself.

    Args:
        task: of a component.
        pod: what it gets.
        labels: of the pod, such as `{"aira/study": "first"}`: quotas and costs are told apart by them.
    """
    task.set_caching_options(False).set_container_image(pod.image)
    cpu, memory = f"{round(pod.cores * 1000)}m", f"{round(pod.memory_gib * 1024)}Mi"
    task.set_cpu_request(cpu).set_cpu_limit(cpu).set_memory_request(memory).set_memory_limit(memory)
    if pod.gpus:
        task.set_accelerator_type(pod.gpu_resource).set_accelerator_limit(pod.gpus)
    _volumes(task, pod)
    _environment(task, pod)
    for label, value in pod.node_selector.items():
        kubernetes.add_node_selector(task, label, value)
    for each in pod.tolerations:
        kubernetes.add_toleration(task, **each.model_dump(exclude_none=True))
    for label, value in labels.items():
        kubernetes.add_pod_label(task, label, value)
    return kubernetes.set_timeout(task, pod.deadline_seconds)


def _volumes(task: Any, pod: Pod) -> None:
    kubernetes.use_config_map_as_volume(task, CONFIG_MAP, str(PurePosixPath(MOUNTED).parent))
    kubernetes.empty_dir_mount(task, "scratch", SCRATCH, size_limit=f"{round(pod.disk_gib * 1024)}Mi")
    # Without this /dev/shm has 64 MB, in which loaders and NCCL fail.
    kubernetes.empty_dir_mount(task, "shm", "/dev/shm", medium="Memory", size_limit=f"{round(pod.shm_gib * 1024)}Mi")


def _environment(task: Any, pod: Pod) -> None:
    for name, value in sorted(pod.variables.items()):
        task.set_env_variable(name, value)
    for name, path in _FIELDS.items():
        kubernetes.use_field_path_as_env(task, name, path)
    for secret in pod.secrets:
        for variable, key in sorted(secret.variables.items()):  # one by one: two may show the same key
            kubernetes.use_secret_as_env(task, secret.name, {key: variable})
