"""`aira scores`: agents compared over the tasks of any set of studies."""
