"""A study on a cluster: it is cut into runs that fit, started, watched and found again."""
