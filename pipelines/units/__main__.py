"""Compile the pipeline of a chunk: what the task starts that has a study's units made.

It is a process of its own so that the library never imports kfp.
"""

import argparse
from pathlib import Path

from kfp import compiler

from aira_lib.remote.chunk import Chunk
from pipelines.units.pipeline import units_pipeline


def main() -> None:
    """Parse the command line and do it."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.units", description=__doc__)
    parser.add_argument("action", choices=["compile"])
    parser.add_argument("--request", type=Path, required=True, help="file with the chunk as JSON")
    parser.add_argument("-o", "--output", type=Path, required=True, help="YAML file")
    args = parser.parse_args()
    compiler.Compiler().compile(units_pipeline(Chunk.from_json(args.request.read_bytes())), str(args.output))


if __name__ == "__main__":
    main()
