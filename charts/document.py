"""Write the schema and the page of the chart `aira`: `python -m charts.document`.

`values.schema.json` is made from `charts.values`, README.md from the comments of `values.yaml` that begin with `--`.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from charts.values import schema

CHART = Path(__file__).parent / "aira"
_KEY = re.compile(r"^(?P<indent> *)(?P<key>[\w.-]+):(?: (?P<value>.*))?$")
_HEAD = """\
# The chart `aira`

{description}
How it is installed: [install](../../docs/install.md); who can read what: [threat model](../../docs/threat-model.md).
Runs from files in git are another chart, `charts/aira-runs`.

    helm upgrade --install aira charts/aira --namespace team-a --create-namespace --values my-values.yaml

Required: `cluster.store`, the four `cluster.images`, and, unless `network.enabled` is false, `network.kubernetesApi.to`
and `network.s3.to`. Values are checked against `values.schema.json`; Secrets are named, never given.

| value | default | meaning |
| --- | --- | --- |
"""
_FOOT = "\nThis page is made from `values.yaml` by `python -m charts.document`.\n"


def readme() -> str:
    """The page."""
    about = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["description"]
    rows = "".join(f"| `{key}` | {default} | {meaning} |\n" for key, default, meaning in described())
    return _HEAD.format(description=about) + rows + _FOOT


def described() -> Iterator[tuple[str, str, str]]:
    """Of each value with a meaning: its path, its default, its meaning."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    defaults = yaml.safe_load(text)
    path: list[tuple[int, str]] = []
    said: list[str] = []
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            words = line.lstrip("# ").strip()
            said = [words.removeprefix("-- ")] if words.startswith("-- ") else [*said, words] if said else []
        elif found := _KEY.match(line):
            indent = len(found["indent"])
            path = [(depth, key) for depth, key in path if depth < indent] + [(indent, found["key"])]
            if said:
                keys = [key for _, key in path]
                yield ".".join(keys), _default(defaults, keys), " ".join(said).replace("|", "\\|")
            said = []


def schema_text() -> str:
    """The schema as the file has it."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def _default(values: object, keys: list[str]) -> str:
    for key in keys:
        assert isinstance(values, dict)
        values = values[key]
    several = isinstance(values, dict) and any(isinstance(each, dict) for each in values.values())
    return "see there" if several else f"`{json.dumps(values)}`"


if __name__ == "__main__":
    (CHART / "README.md").write_text(readme(), encoding="utf-8")
    (CHART / "values.schema.json").write_text(schema_text(), encoding="utf-8")
