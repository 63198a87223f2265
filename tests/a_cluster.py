"""What a cluster is, for tests: no address of it exists."""

from typing import Any

from aira_lib.cluster.section import Cluster

_DIGEST = "@sha256:" + "0" * 63

CLUSTER: dict[str, Any] = {
    "store": "s3://bucket/aira",
    "images": {
        **{name: f"registry.example/aira-{name}{_DIGEST}{n}" for n, name in enumerate(("cpu", "train", "eval", "sandbox"))},
        "extras": {"cpu": ["kfp", "tracking", "report", "agents", "fast", "data", "bo"]},
    },
    "s3": {"name": "aira-s3", "variables": {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}},
    "mlflow": {"name": "aira-mlflow", "variables": {"MLFLOW_TRACKING_PASSWORD": "password"}},
    "models": {"name": "aira-models", "variables": {"OPENAI_API_KEY": "openai"}},
    "tracking": {"uri": "http://mlflow.example:5000"},
}  # fmt: skip


def a_cluster(**changes: Any) -> Cluster:
    """A cluster with all that a study may want; keyword arguments replace whole sections."""
    return Cluster.model_validate({**CLUSTER, **changes})
