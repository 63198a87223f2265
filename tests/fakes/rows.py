"""Rows of the fake API of Kubeflow Pipelines as they are shown, filtered and paged, and its errors."""

import json
from collections.abc import Mapping
from typing import Any

from tests.fakes.http import Json

RUN_LABEL = "pipeline/runid"


class Refused(Exception):
    """An error of gRPC: code 3 invalid, 5 not found, 6 exists, 13 internal, 14 unavailable, 16 no login."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def shown(row: Json) -> Json:
    copied: Json = json.loads(json.dumps(row))
    return {key: value for key, value in copied.items() if value not in ("", None, [], {}, 0)}


def doubles(value: Any) -> Any:
    """Numbers as google.protobuf.Value keeps them."""
    if isinstance(value, dict):
        return {key: doubles(each) for key, each in value.items()}
    if isinstance(value, list):
        return [doubles(each) for each in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def chosen(row: Json, text: str) -> bool:
    """Whether a row is what a filter (JSON of v2beta1's Filter) wants."""
    for predicate in (json.loads(text).get("predicates") or []) if text else []:
        have, how = row.get(predicate["key"]), predicate["operation"]
        wanted = predicate.get("string_value", predicate.get("stringValue"))
        several = (predicate.get("string_values") or predicate.get("stringValues") or {}).get("values", [])
        tests = {
            "EQUALS": have == wanted,
            "NOT_EQUALS": have != wanted,
            "IN": have in several,
            "IS_SUBSTRING": str(wanted) in str(have),
        }
        if how not in tests:
            raise Refused(3, f"Invalid input error: failed to parse valid filter: operation {how}")
        if not tests[how]:
            return False
    return True


def paged(name: str, rows: list[Json], query: Mapping[str, str]) -> Json:
    """A page of rows by page_size, page_token, sort_by and filter."""
    rows = [each for each in rows if chosen(each, query.get("filter", ""))]
    key, _, direction = query.get("sort_by", "").partition(" ")
    if key:
        rows = sorted(rows, key=lambda each: str(each.get(key, "")), reverse=direction == "desc")
    first, size = int(query.get("page_token") or 0), int(query.get("page_size") or 20)
    answer: Json = {name: rows[first : first + size], "total_size": len(rows)}
    if first + size < len(rows):
        answer["next_page_token"] = str(first + size)
    return {key: value for key, value in answer.items() if value}


def workflow_of(run: Json, spec: Json, namespace: str) -> Json:
    """The Workflow of a run, as far as it is looked at."""
    return {
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
        "metadata": {
            "generateName": f"{spec.get('pipelineInfo', {}).get('name', 'pipeline')}-", "namespace": namespace,
            "labels": {RUN_LABEL: run["run_id"]},
            "annotations": {"pipelines.kubeflow.org/run_name": run["display_name"]},
        },
        "spec": {"serviceAccountName": run.get("service_account") or "pipeline-runner"},
    }  # fmt: skip
