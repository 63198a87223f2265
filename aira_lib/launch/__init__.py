"""Launch: where and with how much of a machine a study runs. Nothing here changes a result."""
