"""Compile a pipeline of a cluster to a file: for upload in Kubeflow's UI, or as Kubernetes objects for git."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kfp import compiler

from aira_lib.cluster.reading import load_cluster
from aira_lib.cluster.section import Cluster
from aira_lib.errors import UserError
from aira_lib.flow.entry import one_line_errors
from aira_lib.flow.versions import code_version
from aira_lib.study import Study, digest
from pipelines.cluster import Form, cluster_pipeline

_LONGEST_TAG = 63
"""Characters of a tag's value that Kubeflow keeps."""

AT_ONCE = 40
"""Units that are worked on at once, unless a form says otherwise."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `compile_form`, as those of a command line."""
    parser.add_argument("--cluster", type=Path, help="file that says what the cluster is")
    parser.add_argument("--study", type=Path, help="file with the study that it holds, as JSON; else one is chosen")
    parser.add_argument("--parallelism", type=int, default=AT_ONCE, help="searches or pretraining points at once")
    parser.add_argument("--kubernetes", action="store_true", help="compile to Kubernetes objects")
    parser.add_argument("--output", type=Path, required=True, help="YAML file")


def main_of(form: Form, about: str | None) -> None:
    """The command line of a pipeline that is only compiled."""
    parser = argparse.ArgumentParser(prog=f"python -m pipelines.{form.name.removeprefix('aira-')}", description=about)
    parser.add_argument("action", choices=["compile"])
    add_options(parser)
    with one_line_errors():
        compile_form(form, parser.parse_args())


def compile_form(form: Form, args: argparse.Namespace) -> None:
    """Write a pipeline for a cluster; equal arguments give equal bytes.

    Args:
        form: which.
        args: see `add_options`.

    Raises:
        UserError: no file of a cluster is named, or it is not one.
    """
    cluster = cluster_named(args.cluster)
    study = Study.model_validate_json(args.study.read_text(encoding="utf-8")) if args.study else None
    pipeline = cluster_pipeline(form, cluster, study, args.parallelism)
    write_pipeline(form, cluster, study, pipeline, args.output, args.kubernetes)


def cluster_named(path: Path | None) -> Cluster:
    """The cluster that the command line names.

    Raises:
        UserError: it names none, or what is not one.
    """
    if path is None:
        raise UserError("no cluster is named: give --cluster FILE (docs/install.md)")
    return load_cluster(path)


def write_pipeline(
    form: Form, cluster: Cluster, study: Study | None, pipeline: Any, output: Path, kubernetes: bool
) -> None:
    """Write a pipeline that was built for a cluster (see `compile_form`)."""
    compiler.Compiler().compile(pipeline, str(output))
    if kubernetes:
        documents = Version.of(form, cluster, study).objects(
            list(yaml.safe_load_all(output.read_text(encoding="utf-8")))
        )
        output.write_text(yaml.safe_dump_all(documents, sort_keys=True, allow_unicode=True), encoding="utf-8")


@dataclass(frozen=True)
class Version:
    """What a PipelineVersion says of itself: from which study, images and code it is."""

    pipeline: str
    title: str
    tags: dict[str, str]
    description: str

    @classmethod
    def of(cls, form: Form, cluster: Cluster, study: Study | None) -> "Version":
        """That of a pipeline that was built for a cluster, with a study or for any."""
        image, code = cluster.images.cpu.rpartition("@sha256:")[2], code_version()
        tags = {"image": image, "code": code, **({"study": study.name, "digest": digest(study)} if study else {})}
        holds = f"Study {study.name} ({digest(study)[:12]}). " if study else ""
        return cls(
            pipeline=form.named(study),
            title=f"AIRA: {study.name}" if study else f"AIRA: {form.name.removeprefix('aira-')}",
            tags={key: value[:_LONGEST_TAG] for key, value in tags.items()},
            description=f"{holds}Image {cluster.images.cpu}. Code {code}.",
        )

    def objects(self, documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Pipeline and PipelineVersion; the version is named by what it holds, for Kubeflow lets none be changed."""
        spec, *platform = documents
        version = {
            "pipelineName": self.pipeline,
            "description": self.description,
            "tags": self.tags,
            "pipelineSpec": spec,
            **({"platformSpec": platform[0]} if platform else {}),
        }
        name = f"{self.pipeline}-{digest(version)[:10]}"
        return [
            _object("Pipeline", self.pipeline, {"displayName": self.title}),
            _object("PipelineVersion", name, {**version, "displayName": name}),
        ]


def _object(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "labels": {"app.kubernetes.io/part-of": "aira"}}
    return {"apiVersion": "pipelines.kubeflow.org/v2beta1", "kind": kind, "metadata": metadata, "spec": spec}
