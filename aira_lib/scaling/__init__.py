"""Scaling curves from runs at equal compute: minima, frontiers, their differences, a loss law, and honest intervals."""
