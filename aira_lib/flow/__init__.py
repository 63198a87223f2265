"""How a unit of a study becomes a record: units and keys, stages, the one way to run them, entry for pipelines."""
