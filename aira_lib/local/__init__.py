"""A study on this machine: its processes, what is shown of them, and what comes of it."""
