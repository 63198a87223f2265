"""The job of several ranks that train one point. It imports no PyTorch: the command line shows it, too."""

import sys
from pathlib import Path

from aira_lib.device import device_kind
from aira_lib.launch.job import Job, job_name
from aira_lib.records import PretrainPoint
from aira_lib.study import ResourcesAtScale


def ranks_job(study: str, point: PretrainPoint, resources: ResourcesAtScale, spec: Path, attempt: str) -> Job:
    """The ranks of a point on one machine as a job.

    Args:
        study: name of the study; empty: of none.
        point: what they train.
        resources: how many they are, and what they get of this machine; a GPU each where it computes on those.
        spec: file with what all of them are told (see `aira_lib.training.rank`).
        attempt: another text at each attempt, whose ranks are never those of an earlier one.
    """
    gpus = resources.gpus_per_node or (resources.ranks if device_kind() == "cuda" else 0)
    return Job(
        name=job_name(study or "pretrain", point.id, attempt),
        command=(sys.executable, "-m", "aira_lib.training.rank", str(spec)),
        ranks_per_node=resources.ranks,
        gpus_per_node=gpus,
        cores=resources.cores,
        memory_gib=resources.memory_gib,
        deadline_seconds=resources.deadline_hours and resources.deadline_hours * 3600,
        study=study,
        unit=f"pretrain {point.id}",
    )


def nodes_job(study: str, point: PretrainPoint, resources: ResourcesAtScale, meet: str, token: str) -> Job:
    """The ranks of a point on several nodes as a job: the same one whoever waits for it.

    Args:
        study: name of the study; empty: of none.
        point: what they train.
        resources: nodes, ranks of each, and what they get.
        meet: URI of the folder in which they meet (see `aira_lib.training.shared_folder`).
        token: of the training there.
    """
    return Job(
        name=job_name(study or "pretrain", point.id, token),
        command=("python", "-m", "aira_lib.training.rank_of_nodes", meet),
        nodes=resources.nodes or 1,
        ranks_per_node=resources.ranks,
        gpus_per_node=resources.gpus_per_node or 0,
        cores=resources.cores,
        memory_gib=resources.memory_gib,
        deadline_seconds=resources.deadline_hours and resources.deadline_hours * 3600,
        study=study,
        unit=f"pretrain {point.id}",
    )
