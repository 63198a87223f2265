"""What agents are worth over tasks: valid submissions, normalised scores, ratings, each with its interval."""
