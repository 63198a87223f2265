"""Training of language models below the stages: trainers by name, checkpoints, the schedule, the precision."""
