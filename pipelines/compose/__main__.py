"""Run the pipeline on this machine, or compile it for a cluster: what `aira run` and `aira compile` start.

It is a process of its own so that the library and its command line never import kfp.
"""

import argparse
import hashlib
from pathlib import Path

from kfp import compiler, local
from kfp.compiler.compiler_utils import KubernetesManifestOptions
from kfp.dsl.base_component import BaseComponent

from aira_lib.flow.outcomes import RunFolder
from aira_lib.flow.texts import write_study
from aira_lib.settings import hold_lifeline
from aira_lib.study import Study
from pipelines.compose.pipeline import compose_pipeline


def main() -> None:
    """Parse the command line and do it."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.compose", description=__doc__)
    parser.add_argument("action", choices=["run", "compile"])
    parser.add_argument("--study", type=Path, required=True, help="file with the study as JSON")
    parser.add_argument("--store", default="runs", help="folder, file:// or s3:// where records are kept")
    parser.add_argument("--parallelism", type=int, default=2, help="searches or pretraining points at once")
    parser.add_argument("--points-at-once", type=int, help="of pretraining points, where they take more than others")
    parser.add_argument("--name", default="local", help="of the run of the study: what becomes of its units (run)")
    parser.add_argument("--kubernetes", action="store_true", help="compile to Kubernetes objects")
    parser.add_argument("--output", type=Path, required=True, help="pipeline root (run) or YAML file (compile)")
    args = parser.parse_args()
    study = args.study.read_text(encoding="utf-8")
    if args.action == "compile":
        pipeline = compose_pipeline(args.parallelism, args.store, study)
        compiler.Compiler().compile(pipeline, str(args.output))
        if args.kubernetes:
            _as_manifests(pipeline, args.output)
    else:
        hold_lifeline()
        runner = local.SubprocessRunner(use_venv=False)
        local.init(runner, pipeline_root=str(args.output), raise_on_error=True)
        read = Study.model_validate_json(study)
        RunFolder(args.store, read, args.name).forget()  # what failed is tried again
        trains = bool(read.trainable_scales())
        pipeline = compose_pipeline(args.parallelism, trains=trains, points_at_once=args.points_at_once, run=args.name)
        pipeline(study=write_study(read, args.store), store=args.store)


def _as_manifests(pipeline: BaseComponent, output: Path) -> None:
    """Write the pipeline as Pipeline and PipelineVersion objects; the version is named by the hash of its content."""
    version = f"aira-compose-{hashlib.sha256(output.read_bytes()).hexdigest()[:10]}"
    options = KubernetesManifestOptions(
        "aira-compose", "AIRA Compose", version, version, include_pipeline_manifest=True
    )
    compiler.Compiler().compile(
        pipeline, str(output), kubernetes_manifest_format=True, kubernetes_manifest_options=options
    )


if __name__ == "__main__":
    main()
