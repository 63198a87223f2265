"""What AIRA needs to know of a Kubernetes cluster, and how it speaks with it."""
