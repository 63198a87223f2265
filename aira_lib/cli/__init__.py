"""The command line: one file a noun; arguments in, one clear line out. What a command starts is imported late."""

import sys

from aira_lib.errors import INTERRUPTED, UserError

try:
    from aira_lib.cli.aira import app, main
except UserError as error:  # stages of somebody's own have commands: the modules of AIRA_PLUGINS are imported here
    print(f"aira: {error}", file=sys.stderr)
    sys.exit(error.exit_code)
except KeyboardInterrupt:
    print("Interrupted before anything began.", file=sys.stderr)
    sys.exit(INTERRUPTED)

__all__ = ["app", "main"]
