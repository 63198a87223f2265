"""Scripts that score themselves, scored again: what they claim beside what is measured where they cannot reach it."""
