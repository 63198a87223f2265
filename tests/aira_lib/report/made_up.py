"""A made-up study of realistic shape: searches with failures, an archive, patterns, designs, runs and scores."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from aira_lib.architecture.pattern import render
from aira_lib.architecture.scales import Scale
from aira_lib.records import (
    ArchiveRow,
    BasePattern,
    Member,
    Node,
    PretrainPoint,
    ScaledDesign,
    Score,
    StandIn,
    TrainingRun,
)
from aira_lib.report.inputs import LossCurve, ReportInputs, SearchRun
from aira_lib.study import Study
from aira_lib.study.reading import parse_study

BUDGETS = (2e13, 6e13, 2e14)
TRAINED = {"nano": 64, "micro": 96, "mini": 144}
DESCRIBED = {"350M": 1536, "1B": 2048, "3B": 3072}
REASONS = ("time limit: 20 s", "submission.csv: line 2 has 15 layers, not 16", "SyntaxError: invalid syntax\n  line 3")


def made_up_study(**changes: Any) -> Study:
    values: dict[str, Any] = {
        "name": "laptop",
        "description": "A whole study on two cores.",
        "agents": [
            {"scaffold": "greedy", "model": "offline", "seeds": 3, "steps": 40},
            {"scaffold": "one-shot", "model": "offline", "seeds": 2, "steps": 12},
        ],
        "aggregate": [
            {"name": "AIRA-vote", "method": "cluster-vote", "clusters": 3},
            {"name": "AIRA-top", "method": "top-k", "top_k": 20},
        ],
        "extrapolate": {"baselines": ["Llama 3.2", "Nemotron-H"]},
    }
    return parse_study({**values, **changes}, "made up")


def scale(name: str, d_model: int) -> Scale:
    return Scale(
        name=name, d_model=d_model, n_heads=4, n_kv_heads=4, head_dim=d_model // 4, d_ff=3 * d_model,
        d_ssm=2 * d_model, d_state=64, ssm_head_dim=16, seq_len=256, vocab_size=256, tokens_per_step=4096,
    )  # fmt: skip


def scaled(name: str, base: str, kind: str, layers: Sequence[str], at: Scale, trainable: bool) -> ScaledDesign:
    d = at.d_model
    per_layer = {"A": 4 * d * d, "M": 9 * d * d, "Mb": 6 * d * d}
    params = sum(per_layer[layer] for layer in layers)
    return ScaledDesign.model_validate(
        dict(
            name=f"{name}@{at.name}", base=base, kind=kind, method="stretch" if kind == "find" else "repeat", scale=at,
            pattern=render(tuple(layers)), n_layers=len(layers), counts={p: layers.count(p) for p in per_layer},
            params_non_embedding=params, params_embedding=at.vocab_size * d, flops_per_token=6 * params,
            trainable=trainable,
        )
    )  # fmt: skip


def point(
    design: ScaledDesign, seed: int, budget: float | None = None, tokens: int = 2_097_152, **other: Any
) -> PretrainPoint:
    used = int(budget / design.flops_per_token) // 4096 * 4096 if budget else tokens
    protocol = "isoflop" if budget else "isotoken"
    return PretrainPoint.model_validate(
        dict(
            id=f"{design.name}.{protocol}.{budget or tokens}.s{seed}", design=design, protocol=protocol,
            budget_flops=budget, steps=used // 4096, tokens=used, flops=float(used) * design.flops_per_token, seed=seed,
            **other,
        )
    )  # fmt: skip


def score(at: PretrainPoint, loss: float | None) -> Score:
    return Score(
        point=at, status="diverged" if loss is None else "ok", loss=loss, loss_stderr=None if loss is None else 0.012,
        bits_per_byte=None if loss is None else loss / float(np.log(2)), samples=200, tokens=51_200,
    )  # fmt: skip


def made_up_inputs(seed: int = 7) -> ReportInputs:
    """Everything a report can show; a function of the seed alone."""
    random = np.random.default_rng(seed)
    searches = [
        search(random, agent, s, steps, lift)
        for agent, seeds, steps, lift in (("greedy-offline", 3, 40, 0.09), ("one-shot-offline", 2, 12, 0.0))
        for s in range(seeds)
    ]
    archive = archive_of(searches)
    patterns = [pattern(random, name, archive[:9]) for name in ("AIRA-vote", "AIRA-top")]
    designs = [
        design
        for scales, trainable in ((TRAINED, True), (DESCRIBED, False))
        for name, width in scales.items()
        for design in designs_at(scale(name, width), patterns, trainable)
    ]
    scores = [*isotoken_scores(random, designs), *isoflop_scores(random, designs)]
    runs = [training_run(s) for s in scores]
    curves = {r.point.id: curve(random, r) for r in runs}
    timings = {"search": 161.2, "archive": 0.4, "aggregate": 0.2, "pretrain": 201.7, "evaluate": 31.0}
    return ReportInputs(
        searches, archive, patterns, designs, runs, curves, scores, STAND_INS, {"aira": "0.1.0", "torch": "2.13.0"},
        timings,
    )  # fmt: skip


STAND_INS = (
    StandIn(
        what="offline agent: evolution with priors", instead_of="a language model as the agent",
        detail="it answers in the same format, with a plan and a code block",
    ),
    StandIn(
        what="the Python standard library's documentation and source, as bytes",
        instead_of="DCLM-Baseline with the Llama 3 tokenizer",
        detail="4,000,000 training and 200,000 validation bytes, Python 3.11",
    ),
)  # fmt: skip


def search(random: np.random.Generator, agent: str, seed: int, steps: int, lift: float) -> SearchRun:
    nodes, best = [], 0.0
    for step in range(steps):
        layers = tuple(str(p) for p in random.choice(["A", "M", "Mb"], 16, p=[0.3, 0.4, 0.3]))
        ok = random.random() > 0.2
        fitness = float(np.clip(0.62 + lift * np.log1p(step) / 2 + random.normal(0, 0.05), 0, 1)) if ok else None
        best = max(best, fitness or 0.0)
        nodes.append(
            Node(
                step=step, id=f"{seed}-{step}", operator="draft" if step < 5 else "improve",
                plan="Put attention late.", design=render(layers) if ok else None, status="ok" if ok else "failed",
                reason="" if ok else str(random.choice(REASONS)), validation=fitness,
                test=None if fitness is None else fitness - 0.02, seconds=float(random.random()),
            )
        )  # fmt: skip
    return SearchRun(agent, seed, nodes, steps)


def archive_of(searches: Sequence[SearchRun]) -> list[ArchiveRow]:
    from aira_lib.architecture.pattern import parse

    seen: dict[str, list[tuple[SearchRun, Node]]] = defaultdict(list)
    for run in searches:
        for node in run.nodes:
            if node.design:
                seen[node.design].append((run, node))
    rows = [
        ArchiveRow(
            design=design, layers=parse(design), validation=found[0][1].validation or 0.0, test=found[0][1].test,
            evaluations=1, agents=tuple(sorted({f"{r.agent}.s{r.seed}" for r, _ in found})),
            first_seen=f"{found[0][0].agent}.s{found[0][0].seed}/{found[0][1].step}", params=210_000, seconds=1.5,
        )
        for design, found in seen.items()
    ]  # fmt: skip
    return sorted(rows, key=lambda row: -row.validation)


def pattern(random: np.random.Generator, name: str, voters: Sequence[ArchiveRow]) -> BasePattern:
    votes = []
    for index in range(16):
        ballots = [row.layers[index] for row in voters]
        votes.append({p: ballots.count(p) / len(ballots) for p in sorted(set(ballots))})
    layers = tuple(max(v, key=lambda p: v[p] + random.random() * 0.05) for v in votes)
    top = name == "AIRA-top"
    return BasePattern(
        name=name, pattern=render(layers), layers=layers, method="top-k" if top else "cluster-vote",
        settings={"method": "x", "clusters": 3, "context": 0, "top_k": 20, "rank_by": "validation"},
        rank_by="validation", candidates=70,
        members=tuple(Member(design=r.design, weight=1 / len(voters), fitness=r.validation) for r in voters),
        votes=tuple(votes), agreement=tuple(v[layer] for v, layer in zip(votes, layers, strict=True)),
        in_archive=False,
    )  # fmt: skip


def designs_at(at: Scale, patterns: Sequence[BasePattern], trainable: bool) -> list[ScaledDesign]:
    depth = 6 if trainable else 32
    found = []
    for base in patterns:
        stretched = tuple(base.layers[i * 16 // depth] for i in range(depth))
        stacked = (base.layers * 3)[:depth]
        found.append(scaled(f"{base.name}/stretched", base.name, "find", stretched, at, trainable))
        found.append(scaled(f"{base.name}/stacked", base.name, "find", stacked, at, trainable))
    found.append(scaled("Llama 3.2", "Llama 3.2", "baseline", ("A", "M") * (depth // 2), at, trainable))
    nemotron = (*(("Mb", "M") * depth)[: depth - 1], "A")
    return [*found, scaled("Nemotron-H", "Nemotron-H", "baseline", nemotron, at, trainable)]


def isotoken_scores(random: np.random.Generator, designs: Sequence[ScaledDesign]) -> list[Score]:
    chosen = [d for d in designs if d.scale.name == "micro"]
    return [
        score(point(design, seed), 2.30 - 0.012 * place + float(random.normal(0, 0.006)))
        for place, design in enumerate(chosen)
        for seed in (0, 1)
    ]


def isoflop_scores(random: np.random.Generator, designs: Sequence[ScaledDesign]) -> list[Score]:
    """Losses on a parabola about a best size that grows with the budget; the last design diverges once."""
    scores = []
    families = [d.name.split("@")[0] for d in designs if d.scale.name == "nano"]
    for place, family in enumerate(families):
        for budget in BUDGETS:
            best = 5.45 + 0.45 * np.log10(budget / 2e13) + (0.6 if place == 1 else 0.0)
            floor = 2.5 * (budget / 2e13) ** -(0.03 + 0.002 * place)
            for design in (d for d in designs if d.trainable and d.name.startswith(f"{family}@")):
                distance = np.log10(design.params_non_embedding) - best
                loss = float(floor + 0.4 * distance**2 + random.normal(0, 0.002))
                diverged = place == len(families) - 1 and budget == BUDGETS[-1] and design.scale.name == "mini"
                scores.append(score(point(design, 0, budget), None if diverged else loss))
    return scores


def training_run(of: Score) -> TrainingRun:
    at = of.point
    return TrainingRun(
        point=at, final_train_loss=of.loss, steps=at.steps, tokens=at.tokens, flops=at.flops, status=of.status,
        data={}, seconds=1.0,
    )  # fmt: skip


def curve(random: np.random.Generator, run: TrainingRun) -> LossCurve:
    steps = np.arange(1, run.steps + 1)
    end = run.final_train_loss or 6.0
    loss = end + (5.6 - end) * np.exp(-steps / 60) + random.normal(0, 0.03, len(steps))
    tokens = steps * 4096
    flops = (1.0 * run.point.design.flops_per_token * tokens).tolist()
    return LossCurve(steps.tolist(), tokens.tolist(), loss.tolist(), flops)
