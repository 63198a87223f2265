"""What a study, a search or a design costs, before anything starts."""
