"""How a study is followed while it runs: progress files, metric logs, and MLflow, which the logs are carried to."""
