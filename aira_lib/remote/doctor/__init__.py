"""What a cluster lacks for a study, seen from a laptop or from a pod. Nothing is changed but a probe of the bucket.

Each check gives findings; `examine` runs all of them. What may not be looked at, or cannot be reached from where the
command runs, is said to be unknown: that is no fault of the cluster.
"""
