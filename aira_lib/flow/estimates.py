"""What each stage will take, by assumption: FLOPs as the paper counts them, seconds of one core; nothing measured."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aira_lib.flow.stage import Estimate

if TYPE_CHECKING:
    from aira_lib.architecture.scales import Scale
    from aira_lib.downstream.tables import DownstreamTask
    from aira_lib.study import Study

# One core of a laptop on models of some ten thousand parameters; and what a layer takes a step however small it is.
CPU_FLOPS_PER_SECOND = 1e10
SECONDS_PER_LAYER_AND_STEP = 1e-3
# Starting a process, and importing torch where models are trained.
SECONDS_TO_START, SECONDS_TO_START_TORCH, SECONDS_TO_START_SEARCH = 2.0, 3.0, 4.0
SECONDS_TO_START_HARNESS = 10.0
SECONDS_OF_REPORT = 3.0
# Of a downstream task: what an item takes of a prompt, as each example in it does; tokens of web text are four letters.
CHARACTERS_OF_EXAMPLE, TOKENS_PER_CHARACTER = 250.0, 0.25


def once(what: str, seconds: float = 0.0) -> Estimate:
    """Of a stage with one unit that computes next to nothing."""
    return Estimate(1, 1, what, seconds=seconds + SECONDS_TO_START)


def of_searches(study: "Study") -> Estimate:
    """Candidates, each scored by the task; of tasks whose scoring nobody can foretell, their number and hours."""
    from aira_lib.tasks.section import family_of

    searches = sum(len(agent.seeds) for agent in study.agents)
    candidates = sum(len(agent.seeds) * (1 if agent.scaffold == "one-shot" else agent.steps) for agent in study.agents)
    cost = family_of(study.task).cost(study.task, study.proxy)
    flops, seconds = (cost.flops, cost.seconds) if cost else (0.0, 0.0)
    spent = candidates * seconds + searches * SECONDS_TO_START_SEARCH
    at_most = 0.0 if cost else sum(len(agent.seeds) * agent.hours * 3600 for agent in study.agents)
    return Estimate(searches, candidates, f"{candidates} candidates at most", candidates * flops, spent, at_most)


def of_training(study: "Study") -> Estimate:
    """Training runs if no two designs coincide."""
    points, training, _ = _pretraining(study)
    small = sum(_overhead(scale, flops) for _, scale, _, flops in _trainings(study))
    seconds = training / CPU_FLOPS_PER_SECOND + small + points * SECONDS_TO_START_TORCH
    return Estimate(points, points, "training runs at most", training, seconds)


def of_scoring(study: "Study") -> Estimate:
    """Their checkpoints."""
    points, _, scoring = _pretraining(study)
    seconds = scoring / CPU_FLOPS_PER_SECOND + points * SECONDS_TO_START_TORCH
    return Estimate(points, points, "checkpoints", scoring, seconds)


def of_downstream(study: "Study") -> Estimate:
    """The checkpoints of the section's protocols, each on all items that it may be asked."""
    from aira_lib.downstream.tables import tasks_named

    assert study.downstream
    section, runs, flops = study.downstream, 0, 0.0
    asked = [(task, shots, _items(task, section.limit)) for task, shots in tasks_named(section.tasks)]
    characters = TOKENS_PER_CHARACTER if study.pretrain.data.name == "shards" else 1.0
    for protocol, scale, count, _ in _trainings(study):
        if protocol in section.protocols:
            lengths = [min((shots + 1) * CHARACTERS_OF_EXAMPLE * characters, scale.seq_len) for _, shots, _ in asked]
            tokens = sum(
                items * _requests_of(task) * length for (task, _, items), length in zip(asked, lengths, strict=True)
            )
            runs, flops = runs + count, flops + count * tokens * _typical_flops(scale) / 3
    seconds = flops / CPU_FLOPS_PER_SECOND + runs * SECONDS_TO_START_HARNESS
    items = sum(count for *_, count in asked)
    return Estimate(runs, runs, f"checkpoints, {len(asked)} tasks, {items:,} items each at most", flops, seconds)


def _items(task: "DownstreamTask", limit: int | None) -> int:
    return min(task.package_items or task.harness_items, limit or task.harness_items)


def _requests_of(task: "DownstreamTask") -> int:
    """How often a model is asked for one item of a downstream task: for each choice, of which chance is one."""
    return round(1 / task.chance) if task.chance else 1


def of_latency(study: "Study") -> Estimate:
    """Blocks and designs, each as often as the section says; blocks together as long as two designs."""
    from aira_lib.flow.scales import scales

    section = study.latency
    assert section
    (scale,) = scales(study, [section.scale])
    length, a_token = section.seq_len or scale.seq_len, _typical_flops(scale) / 3
    tokens = {"prefill": length, "decode": 1, "train": 3 * length}
    cases = designs(study) + 2
    flops = section.batch * a_token * section.repeats * cases * sum(tokens[mode] for mode in section.modes)
    small = len(_typical_layers(scale)) * SECONDS_PER_LAYER_AND_STEP * section.repeats * cases * len(section.modes)
    most = section.seconds * cases * len(section.modes)
    seconds = min(most, flops / CPU_FLOPS_PER_SECOND + small) + SECONDS_TO_START_TORCH
    return Estimate(1, 1, f"{designs(study)} designs at {scale.name}, and their blocks", flops, seconds)


def of_points(study: "Study", what: str, seconds: float) -> Estimate:
    """Of a stage that does something small with each pretraining point."""
    points = _pretraining(study)[0]
    return Estimate(points, points, what, seconds=points * (seconds + SECONDS_TO_START))


def designs(study: "Study") -> int:
    """Designs at each scale if no two coincide."""
    return len(study.aggregate) * len(study.extrapolate.methods) + len(study.extrapolate.baselines)


def _pretraining(study: "Study") -> tuple[int, float, float]:
    """Training runs, the FLOPs of training them, and of scoring them."""
    points, training, scoring = 0, 0.0, 0.0
    for _, scale, runs, flops in _trainings(study):
        points += runs
        training += flops
        scoring += runs * study.evaluate.samples * scale.seq_len * _typical_flops(scale) / 3
    return points, training, scoring


def _trainings(study: "Study") -> "Iterator[tuple[str, Scale, int, float]]":
    """At each scale and for each protocol: training runs, and the FLOPs of training all of them."""
    from aira_lib.flow.scales import scales

    section = study.pretrain
    trained = len(study.aggregate) * len(section.methods) + len(study.extrapolate.baselines)
    spent: dict[str, float] = {}  # by one run with the smallest budget
    if section.isotoken:
        scale = scales(study, [section.isotoken.scale])[0]
        spent[scale.name] = section.isotoken.tokens * _typical_flops(scale)
        runs = trained * len(section.isotoken.seeds)
        yield "isotoken", scale, runs, runs * spent[scale.name]
    if section.isoflop:
        budgets = section.isoflop.budgets
        for scale in scales(study, section.isoflop.scales):
            spent[scale.name] = min(budgets)
            seeds = trained * len(section.isoflop.seeds)
            if section.isoflop.branch and len(budgets) > 1:
                decay = section.optimizer.decay
                yield "trunk", scale, seeds, seeds * (1 - decay) * max(budgets)
                yield "isoflop", scale, seeds * len(budgets), seeds * decay * sum(budgets)
            else:
                yield "isoflop", scale, seeds * len(budgets), seeds * sum(budgets)
        for replicate in section.isoflop.replicates:
            runs = trained * len(replicate.seeds)
            yield "isoflop", scales(study, [replicate.scale])[0], runs, runs * replicate.budget
    if section.lr_check:
        branched = section.isoflop is not None and section.isoflop.branch
        others = len(section.lr_check.factors) - (not branched)  # else the run at the peak is one of those above
        for scale in scales(study, list(spent)):
            yield "lr-check", scale, others, others * spent[scale.name]


def _overhead(scale: "Scale", flops: float) -> float:
    """Seconds of a core beside those of the FLOPs, which of very small layers are the most."""
    steps = flops / _typical_flops(scale) / scale.tokens_per_step
    return steps * len(_typical_layers(scale)) * SECONDS_PER_LAYER_AND_STEP


def _typical_flops(scale: "Scale") -> float:
    from aira_lib.architecture.cost import flops_per_token

    return flops_per_token(_typical_layers(scale), scale)


def _typical_layers(scale: "Scale") -> tuple[str, ...]:
    from aira_lib.architecture.reference import baseline_layers
    from aira_lib.extrapolate.depth import layers_for_scale

    return layers_for_scale(lambda n: baseline_layers("Llama 3.2", n), scale)
