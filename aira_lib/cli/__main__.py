"""`python -m aira_lib.cli`: the same as `aira`."""

from aira_lib.cli import main

main()
