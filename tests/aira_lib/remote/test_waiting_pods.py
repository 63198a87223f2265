"""The task of a unit of several nodes waits for them in a small pod, and names its record as they compute it."""

from aira_lib.cluster.presets import pod_of
from aira_lib.cluster.section import Cluster
from aira_lib.remote.chunk import pods_of_tasks
from tests.builders import CLUSTER, tiny_study


def test_who_waits_for_nodes_has_no_gpu_and_counts_as_one_that_has() -> None:
    cluster = Cluster.model_validate(CLUSTER)
    nodes = pod_of("pretrain", tiny_study(resources={"pretrain": {"nodes": 2, "gpus_per_node": 8}}), cluster)
    waits = pods_of_tasks({"pretrain": nodes})["pretrain"]
    assert (waits.gpus, waits.nodes, waits.cores) == (0, 1, 1)
    assert (waits.image, waits.secrets) == (nodes.image, nodes.secrets)
    assert waits.variables["AIRA_DEVICE"] == "cuda"
    assert "AIRA_GPUS" not in waits.variables
    assert waits.deadline_seconds > nodes.deadline_seconds
    of_cpus = pod_of("pretrain", tiny_study(resources={"pretrain": {"nodes": 2, "ranks_per_node": 1}}), cluster)
    assert "AIRA_DEVICE" not in pods_of_tasks({"pretrain": of_cpus})["pretrain"].variables
