"""Servers of tests that speak real HTTP and keep the real order of effects: Kubernetes and Kubeflow Pipelines."""
