"""Smoke: a tiny whole study in one pipeline, every component once; a cluster's first run, and a test here."""
