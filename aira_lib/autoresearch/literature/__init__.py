"""Literature that agents of Autoresearch may consult: facts on papers, one's own summaries, and reference code."""
