"""See the package: `python -m tests.golden [--new]`."""

import sys

from aira_lib.identity import PIECES, VERSIONS
from tests.golden import alike, keep, kept
from tests.golden.results import defaults, results_of_all


def main(new: bool) -> int:
    """Write; the number of pieces whose results changed although their version was not raised."""
    refused, results = 0, results_of_all()
    for piece in PIECES:
        before, now = kept(piece), results[piece]
        if before is None and not new:
            print(f"{piece}: not kept yet; --new keeps it")
        elif before is None or before["version"] != VERSIONS[piece]:
            keep(piece, VERSIONS[piece], now)
            print(f"{piece}: kept as version {VERSIONS[piece]}")
        elif not alike(before["results"], now):
            refused += 1
            print(f"{piece}: its results changed; raise its version in aira_lib/identity.py first")
    if new:
        keep("defaults", 1, defaults())
    return refused


if __name__ == "__main__":
    sys.exit(main("--new" in sys.argv))
