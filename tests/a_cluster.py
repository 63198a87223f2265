"""What a cluster is, for tests: no address of it exists."""

from pathlib import Path
from typing import Any

import yaml

from aira_lib.cluster.section import Cluster

_DIGEST = "@sha256:" + "0" * 63
_IMAGES = ("cpu", "train", "eval", "sandbox")

CLUSTER: dict[str, Any] = {
    "store": "s3://bucket/aira",
    "images": {
        **{name: f"registry.example/aira-{name}{_DIGEST}{n}" for n, name in enumerate(_IMAGES)},
        "extras": {"cpu": ["kfp", "tracking", "report", "agents", "fast", "data", "bo"]},
    },
    "s3": {"name": "aira-s3", "variables": {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}},
    "mlflow": {"name": "aira-mlflow", "variables": {"MLFLOW_TRACKING_PASSWORD": "password"}},
    "models": {"name": "aira-models", "variables": {"OPENAI_API_KEY": "openai"}},
    "tracking": {"uri": "http://mlflow.example:5000"},
}


def a_cluster(**changes: Any) -> Cluster:
    """A cluster with all that a study may want; keyword arguments replace whole sections."""
    return Cluster.model_validate({**CLUSTER, **changes})


def cluster_file(folder: Path, **changes: Any) -> Path:
    """The file of such a cluster."""
    path = folder / "cluster.yaml"
    path.write_text(yaml.safe_dump({**CLUSTER, **changes}))
    return path
