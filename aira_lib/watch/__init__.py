"""Following searches, whatever runs them: from their journals alone."""
