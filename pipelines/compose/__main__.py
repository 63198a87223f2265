"""Run the pipeline on this machine, or compile it for a cluster: what `aira run` and `aira compile` start.

It is a process of its own so that the library and its command line never import kfp.
"""

import argparse
from pathlib import Path

from kfp import compiler, local

from aira_lib.settings import hold_lifeline
from pipelines.compose.pipeline import compose_pipeline


def main() -> None:
    """Parse the command line and do it."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.compose", description=__doc__)
    parser.add_argument("action", choices=["run", "compile"])
    parser.add_argument("--study", type=Path, required=True, help="file with the study as JSON")
    parser.add_argument("--store", default="runs", help="folder, file:// or s3:// where records are kept")
    parser.add_argument("--parallelism", type=int, default=2, help="searches or pretraining points at once")
    parser.add_argument("--output", type=Path, required=True, help="pipeline root (run) or YAML file (compile)")
    args = parser.parse_args()
    study = args.study.read_text(encoding="utf-8")
    if args.action == "compile":
        pipeline = compose_pipeline(args.parallelism, args.store, study)
        compiler.Compiler().compile(pipeline, str(args.output))
    else:
        hold_lifeline()
        runner = local.SubprocessRunner(use_venv=False)
        local.init(runner, pipeline_root=str(args.output), raise_on_error=True)
        compose_pipeline(args.parallelism)(study=study, store=args.store)


if __name__ == "__main__":
    main()
