"""Compile the smoke pipeline for a cluster, or run it on this machine."""

import argparse

from kfp import local

from aira_lib.flow.entry import one_line_errors
from aira_lib.settings import hold_lifeline
from pipelines.compiling import add_options, cluster_named, write_pipeline
from pipelines.smoke.pipeline import FORM, smoke_pipeline


def main() -> None:
    """Parse the command line and do it."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.smoke", description=__doc__)
    parser.add_argument("action", choices=["run", "compile"])
    parser.add_argument("--store", default="runs", help="folder, file:// or s3:// where records are kept (run)")
    add_options(parser)
    args = parser.parse_args()
    if args.action == "compile":
        with one_line_errors():
            cluster = cluster_named(args.cluster)
            write_pipeline(FORM, cluster, None, smoke_pipeline(cluster, cluster.store), args.output, args.kubernetes)
    else:
        hold_lifeline()
        runner = local.SubprocessRunner(use_venv=False)
        local.init(runner, pipeline_root=str(args.output), raise_on_error=True)
        smoke_pipeline(None, args.store)()


if __name__ == "__main__":
    main()
