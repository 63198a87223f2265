"""The runs that the run of a whole study has started for its loops: found by what their description says."""

from aira_lib.cluster.run import PART, Run
from aira_lib.cluster.runs import RunsApi

MOST = 10_000
"""Runs of an experiment that are looked through, the newest first."""


def part_of(parent: str) -> str:
    """The description of a run that another one has started."""
    return f"{PART}{parent}, which waits for it."


def parts(runs: RunsApi, experiment: str, parent: str) -> list[Run]:
    """The runs that a run has started.

    Args:
        runs: Kubeflow's API.
        experiment: the cluster's, by name: all that tasks start is in it.
        parent: the run's id.
    """
    found = runs.find_experiment(experiment)
    every = runs.list(experiment_id=found, most=MOST) if found else []
    return [run for run in every if run.description == part_of(parent)]


def end_whole(runs: RunsApi, experiment: str, run_id: str) -> int:
    """End a run, then those that it has started; how many of these were at work.

    Raises:
        UserError: there is no such run, or it is refused.
    """
    runs.terminate(run_id)
    active = [run for run in parts(runs, experiment, run_id) if not run.ended]
    for run in active:
        runs.terminate(run.id)
    return len(active)
