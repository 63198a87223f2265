"""Models to and from the format that other tools load."""
