import aira_lib  # noqa: F401  (before any module here imports torch: see there)
