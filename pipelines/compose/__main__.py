"""Run the pipeline on this machine, or compile it for a cluster: what `aira run` and `aira compile` start.

It is a process of its own so that the library and its command line never import kfp.
"""

import argparse

from kfp import local

from aira_lib.flow.entry import one_line_errors
from aira_lib.flow.outcomes import RunFolder
from aira_lib.flow.texts import write_study
from aira_lib.settings import hold_lifeline
from aira_lib.study import Study
from pipelines.cluster import COMPOSE
from pipelines.compiling import add_options, compile_form
from pipelines.compose.pipeline import compose_pipeline


def main() -> None:
    """Parse the command line and do it."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.compose", description=__doc__)
    parser.add_argument("action", choices=["run", "compile"])
    parser.add_argument("--store", default="runs", help="folder, file:// or s3:// where records are kept (run)")
    parser.add_argument("--points-at-once", type=int, help="of pretraining points, where they take more (run)")
    parser.add_argument("--name", default="local", help="of the run of the study: what becomes of its units (run)")
    add_options(parser)
    args = parser.parse_args()
    if args.action == "compile":
        with one_line_errors():
            compile_form(COMPOSE, args)
    else:
        _run(args)


def _run(args: argparse.Namespace) -> None:
    hold_lifeline()
    runner = local.SubprocessRunner(use_venv=False)
    local.init(runner, pipeline_root=str(args.output), raise_on_error=True)
    study = Study.model_validate_json(args.study.read_text(encoding="utf-8"))
    RunFolder(args.store, study, args.name).forget()  # what failed is tried again
    pipeline = compose_pipeline(args.parallelism, of=study, points_at_once=args.points_at_once, run=args.name)
    pipeline(study=write_study(study, args.store), store=args.store)


if __name__ == "__main__":
    main()
