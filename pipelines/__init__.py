"""Kubeflow pipelines, one folder a study."""
