"""The part of a task of Long Range Arena that tells what a submission costs, before it is trained and without data.

Numbers are of the program that JAX makes of the submitted code, in a process in which that code runs: code that is
written to lie about them can. No score depends on them, and the seconds of a training are the harness's.
"""

import json
from pathlib import Path

from aira_lib.lra.exponents import at_lengths, exponents_of
from aira_lib.lra.parameters import MOST_RATIO, base_parameters, count_parameters
from aira_lib.lra.program import Program, program_of, variables_of
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
        numbers = {**_sizes(program), **_growth(program, told["settings"].get("most_exponent", 0.0))}
    Path(DESCRIBED).write_text(json.dumps(numbers, indent=2), encoding="utf-8")


def _sizes(program: Program) -> dict[str, float]:
    of = program.configuration
    parameters = count_parameters(variables_of(program))
    ratio = parameters / base_parameters(of, program.submission.problem)
    rule = "" if ratio <= MOST_RATIO else f", where the benchmark asks for {MOST_RATIO:g} at most"
    said_at_once(f"{parameters:,} parameters, {ratio:.2f} of the base Transformer's{rule}")
    return {"parameters": parameters, "base_ratio": ratio, "steps": of.num_train_steps, "length": of.max_length}


def _growth(program: Program, most: float) -> dict[str, float]:
    """Exponents of work and memory in length.

    Raises:
        Refused: one is above `most`, or cannot be told where `most` is not 0.
    """
    try:
        found = exponents_of(at_lengths(program, program_of), program.configuration.max_length)
    except Refused as refused:
        if most:
            raise
        said_at_once(f"how work grows with length cannot be told: {refused}")
        return {}
    said_at_once(f"work {_power(found.flops, found.uncountable)}, memory {_power(found.memory)}")
    found.check(most or None)
    work = {"flops_exponent": found.flops[1], "flops": found.costs[0].flops or 0.0} if found.flops else {}
    return {**work, **({"memory_exponent": found.memory[1]} if found.memory else {})}


def _power(slopes: tuple[float, float] | None, why_not: str | None = None) -> str:
    return f"grows with length to the power {slopes[1]:.2f}" if slopes else f"unknown: {why_not or 'there is none'}"
