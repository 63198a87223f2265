"""What a small proxy is worth: measured against a larger one, and against stopping early."""
