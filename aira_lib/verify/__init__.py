"""Verify: recompute what the paper prints, say where we agree, and where it contradicts itself."""
