"""Units: a chunk of a study's searches or pretraining points, each after its own stages."""
