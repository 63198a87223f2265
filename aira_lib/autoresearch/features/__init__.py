"""What a training script does, read off its syntax tree: 27 features with evidence, never by running it."""
