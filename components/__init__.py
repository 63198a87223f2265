"""Kubeflow Pipelines components, one a stage: each body only calls `aira_lib.flow.run`."""
