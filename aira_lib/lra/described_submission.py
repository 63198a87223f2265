"""The part of a task of Long Range Arena that tells what a submission costs, before it is trained and without data.

Numbers are of the program that JAX makes of the submitted code, in a process in which that code runs: code that is
written to lie about them can. No score depends on them; what a folder allows at most is compared by the harness.
"""

import json
from pathlib import Path

from aira_lib.lra.exponents import exponents_of
from aira_lib.lra.parameters import MOST_RATIO, base_parameters, count_parameters
from aira_lib.lra.program import Program, variables_of
from aira_lib.lra.refused import Refused
from aira_lib.lra.submitted import program_at, refusals_in_a_line, said_at_once, told_in_run

DESCRIBED = "described.json"


def describe_submitted() -> None:
    """The describe part: `described.json`, and the same in words on stdout.

    Numbers: `parameters`, `base_ratio` (to the base Transformer's), `steps` (of a training), `length` (of a row) and,
    as far as they can be told, `flops` (of a row's gradient) and, from 2L to 4L, `flops_exponent`, `memory_exponent`.
    """
    told = told_in_run()
    with refusals_in_a_line():
        program = program_at(told, next(iter(told["row"].values()))[0])
        numbers = {**_sizes(program), **_growth(program)}
    Path(DESCRIBED).write_text(json.dumps(numbers, indent=2), encoding="utf-8")


def _sizes(program: Program) -> dict[str, float]:
    of = program.configuration
    parameters = count_parameters(variables_of(program))
    ratio = parameters / base_parameters(of, program.submission.problem)
    rule = "" if ratio <= MOST_RATIO else f", where the benchmark asks for {MOST_RATIO:g} at most"
    said_at_once(f"{parameters:,} parameters, {ratio:.2f} of the base Transformer's{rule}")
    return {"parameters": parameters, "base_ratio": ratio, "steps": of.num_train_steps, "length": of.max_length}


def _growth(program: Program) -> dict[str, float]:
    """Exponents of work and memory in length, as far as they can be told."""
    try:
        found = exponents_of(program)
    except Refused as refused:
        said_at_once(f"how work grows with length cannot be told: {refused}")
        return {}
    flops = found.flops and found.flops[1]
    said_at_once(f"work {_power(flops, found.uncountable)}, memory {_power(found.memory)}")
    work = {"flops_exponent": flops, "flops": found.costs[0].flops or 0.0} if flops is not None else {}
    return {**work, **({"memory_exponent": found.memory} if found.memory is not None else {})}


def _power(exponent: float | None, why_not: str | None = None) -> str:
    if exponent is None:
        return f"unknown: {why_not or 'there is none'}"
    return f"grows with length to the power {exponent:.2f}"
