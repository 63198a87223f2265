"""Run every stage of a study one after another in this process: `python -m tests.drive_study STUDY.json STORE`."""

import json
import sys
from pathlib import Path

from aira_lib.flow import entry


def drive(study: str, store: str) -> str:
    """Run all stages and return the URI of the report."""

    def run(stage: str, unit: str = "", *inputs: str) -> str:
        return entry.run_text(stage, study, store, unit, inputs)

    searches = [run("search", name) for name in entry.search_names(study)]
    archive = run("archive", "", *searches)
    patterns = run("aggregate", "", archive)
    designs = run("extrapolate", "", patterns)
    points = entry.point_names(study, store, designs)
    trained = [run("pretrain", point) for point in points]
    scores = [run("evaluate", point, record) for point, record in zip(points, trained, strict=True)]
    return run("report", "", designs, *searches, archive, patterns, *trained, *scores)


if __name__ == "__main__":
    print(drive(json.dumps(json.loads(Path(sys.argv[1]).read_text())), sys.argv[2]))
