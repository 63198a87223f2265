"""One search in a process of its own: `python -m aira_lib.local.one_search STUDY.json UNIT STORE`.

`aira search` starts one for every seed. It ends with its launcher, however that ends (see `aira_lib.settings`).
"""

import signal
import sys

from aira_lib.errors import INTERRUPTED, UserError
from aira_lib.flow.run import run_stage
from aira_lib.flow.units import search_unit_named
from aira_lib.settings import Settings, hold_lifeline
from aira_lib.study.reading import load_study


def main(study_file: str, unit: str, store: str) -> int:
    """Run the search to its end; returns the exit code."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the launcher was started to ignore it
    try:
        hold_lifeline()
        study = load_study(study_file)
        run_stage(study, search_unit_named(study, unit), Settings.from_environment(store))
    except UserError as error:
        print(f"aira: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED  # the nodes so far are in the journal
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
