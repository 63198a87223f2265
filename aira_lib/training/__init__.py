"""Training of language models below the stages: trainers by name, ranks, checkpoints, the schedule, the precision."""
