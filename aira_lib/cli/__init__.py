"""The command line: one file a noun; arguments in, one clear line out. What a command starts is imported late."""

from aira_lib.cli.aira import app, main

__all__ = ["app", "main"]
