"""What an architecture is: its pattern, its scale, what it costs, and the designs that are published."""
