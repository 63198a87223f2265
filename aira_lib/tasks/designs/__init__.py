"""The Compose tasks: a candidate submits a design, which the proxy trains and scores."""
