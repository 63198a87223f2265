"""Tiny results of each piece of code, with plain kernels on a CPU: seconds in all."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from pydantic import BaseModel

from aira_lib.identity import Piece
from aira_lib.study import CandidateLimits, DownstreamSection, ProxySection, Study
from tests.builders import TINY_STUDY, node, tiny_study, work_in

TINY = ProxySection.model_validate(TINY_STUDY["proxy"])
TEXT = TINY.model_copy(
    update={
        "dataset": "babistories",
        "language": TINY.language.model_copy(
            update={"tokenizer": "words", "vocab_size": 64, "seq_len": 16, "train_examples": 40, "test_examples": 10}
        ),
    }
)


def results_of_all() -> dict[str, Any]:
    """The results of each piece, as plain data; in a process of its own, since kernels are chosen once a process."""
    each = "print(json.dumps({name: of() for name, of in RESULTS.items()}))"
    code = f"import json; from tests.golden.results import RESULTS; {each}"
    plain = {**os.environ, "AIRA_KERNELS": "plain", "AIRA_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=plain, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def defaults() -> dict[str, Any]:
    """Defaults of all settings of a study by their dotted places: constants that keys leave out."""
    return dict(_defaults(Study, ""))


def _defaults(model: type[BaseModel], place: str) -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        inner = _section(field.annotation)
        if inner:
            yield from _defaults(inner, f"{place}{name}.")
        if not field.is_required():
            default = field.get_default(call_default_factory=True)
            if not isinstance(default, BaseModel):
                yield f"{place}{name}", _plain(default)


def _section(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_section(argument) for argument in getattr(annotation, "__args__", ()))
    return next((each for each in found if each), None)


def _plain(value: Any) -> Any:
    return list(map(_plain, value)) if isinstance(value, list | tuple) else value


def _sha(*arrays: Any) -> str:
    whole = hashlib.sha256()
    for array in arrays:
        whole.update(np.ascontiguousarray(array).astype(np.int64).tobytes())
    return whole.hexdigest()


def _mad() -> Any:
    from aira_lib.datasets.mad import settings_for, splits
    from aira_lib.study import MAD_TASKS

    found = {}
    for name in MAD_TASKS:
        made = splits(settings_for(name), 12, 5, 0.3, 7)
        found[name] = _sha(*(array for part in (made.train, made.validation, made.test) for array in
                             (part.inputs, part.targets)))  # fmt: skip
    return found


def _text() -> Any:
    from aira_lib.datasets.text import python_stdlib_corpus, text_files_corpus
    from aira_lib.proxy.text import text_data

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(40):
            (folder / f"{number:02d}.py").write_text(f"# module {number}\n" + f"value_{number} = {number}\n" * 9)
            (folder / f"{number:02d}.txt").write_text(f"document {number} of some text\n" * 9)
        corpora = [python_stdlib_corpus(9_000, 3_000, folder), text_files_corpus(folder, max_train_bytes=9_000)]
    stories = text_data(TEXT, "babistories").splits
    return {
        "corpora": [_sha(corpus.train, corpus.validation) for corpus in corpora],
        "stories": _sha(stories.train.inputs, stories.validation.targets, stories.test.inputs),
    }


def _models() -> Any:
    import torch

    from aira_lib.architecture.primitives import PRIMITIVES
    from aira_lib.architecture.scales import scale_named
    from aira_lib.models.language_model import LanguageModel

    found = {}
    scale = scale_named("nano", 3)
    tokens = torch.arange(48).reshape(2, 24) % 64
    for letter in PRIMITIVES.names():
        torch.manual_seed(1)
        logits = LanguageModel((letter, letter), scale)(tokens)
        found[letter] = [round(float(value), 4) for value in logits[1, -1, :6]]
    return found


def _mad_model(task: str) -> list[float]:
    import torch

    from aira_lib.models.mad_model import mad_model

    torch.manual_seed(1)
    model = mad_model(task, ("A", "M"), TINY.scale().model_copy(update={"seq_len": 24, "vocab_size": 64}))
    return [round(float(value), 4) for value in model(torch.arange(48).reshape(2, 24) % 64)[1, -1, :6]]


def _proxy() -> Any:
    from aira_lib.proxy.evaluation import evaluate

    found: dict[str, Any] = {task: _mad_model(task) for task in ("compression", "in-context-recall")}
    for name, section in (("mad", TINY), ("text", TEXT)):
        made = evaluate(("A", "M", "Mb"), section.model_copy(update={"epochs": 3}), seed=3)
        kept = {"status", "validation_by_task", "test_by_task", "params", "train_steps", "ranked_by"}
        found[name] = made.model_dump(mode="json", include=kept)
    return found


def _cheap(layers: tuple[str, ...], section: ProxySection, *, seed: int, threads: int, progress: Any) -> Any:
    from aira_lib.records import Evaluation

    share = layers.count("A") / len(layers)
    return Evaluation(status="ok", validation=share, test=share, validation_by_task={"mad": share}, params=9)


def _prompts() -> dict[str, str]:
    """SHA-256 of what each template says, for whole programs and for patches."""
    from aira_lib.agents.prompt import Situation, render_analysis, render_prompt

    nodes = [node(step, "A-M", 0.1 * step, code=f"print({step})") for step in range(3)]
    nodes.append(node(3, None, None, code="raise", reason="it raised"))
    found = {}
    for kind in ("design", "program"):
        for edit in ("file", "patch"):
            situation = Situation(
                "a task", ("A", "M", "Mb"), 4, "x.csv", CandidateLimits(), 2, 60.0, 3, prompts=kind, edit=edit,
                one_change=edit == "patch", complexity_cues=edit == "patch", packages="numpy 2 and pandas 3",
                also=("validation.json",) if kind == "program" else (),
            )  # fmt: skip
            of = {
                "draft": render_prompt("draft", situation, nodes, None),
                "improve": render_prompt("improve", situation, nodes, nodes[2]),
                "debug": render_prompt("debug", situation, nodes, nodes[3]),
                "crossover": render_prompt("crossover", situation, nodes, nodes[1], nodes[2]),
                "analyse": render_analysis(situation, nodes[2]),
            }
            for operator, prompt in of.items():
                found[f"{operator}, {kind}, {edit}"] = hashlib.sha256(prompt.text.encode()).hexdigest()
    return found


AGENTS: dict[str, dict[str, Any]] = {
    **{scaffold: {"scaffold": scaffold} for scaffold in ("greedy", "tree", "evolutionary", "one-shot", "sampling")},
    **{model: {"model": model} for model in ("random", "regularised-evolution:3")},
    "patches": {"edit": "patch", "one_change": True},
}


def _search() -> Any:
    from aira_lib.records import Node, read_rows
    from aira_lib.search.stage import search

    found: dict[str, Any] = {"prompts": _prompts()}
    for name, settings in AGENTS.items():
        study = tiny_study(agents=[{"model": "offline", "steps": 7, "n_drafts": 2, **settings}])
        with tempfile.TemporaryDirectory() as folder:
            work = work_in(Path(folder))
            search(study.task, study.proxy, study.agents[0], 0, work, _cheap)
            nodes = read_rows(Path(folder) / "journal.jsonl", Node)
        found[name] = [[each.operator, each.design, each.status, len(each.parents)] for each in nodes]
    return found


_NODES = [node(i, design, 0.1 * (i + 1), 0.05 * i) for i, design in enumerate(("4A", "2A-2M", "2(A-M)", "A-M-2Mb"))]


def _archive() -> Any:
    from aira_lib.archive.stage import archive
    from aira_lib.records import read_archive, write_rows

    with tempfile.TemporaryDirectory() as name:
        journals = []
        for unit, nodes in (("a.s0", _NODES[:3]), ("b.s1", _NODES[1:])):
            write_rows(Path(name) / unit, nodes)
            journals.append((unit, Path(name) / unit))
        archive(journals, work_in(Path(name) / "work"))
        rows = read_archive(Path(name) / "work" / "archive.parquet")
    return [row.model_dump(mode="json") for row in rows]


def _aggregate() -> Any:
    from aira_lib.aggregate.stage import aggregate
    from aira_lib.aggregate.table import DesignTable
    from aira_lib.records import ArchiveRow, BasePattern, read_rows
    from aira_lib.study import AggregateSection

    methods: Any = ("cluster-vote", "top-k", "top-k-uniform", "bayes")
    sections = [AggregateSection(name=method, method=method, top_k=3, resamples=20) for method in methods]
    rows = [ArchiveRow.model_validate(row) for row in _archive()]
    with tempfile.TemporaryDirectory() as name:
        aggregate(sections, DesignTable.from_rows(rows), work_in(Path(name)))
        found = read_rows(Path(name) / "patterns.jsonl", BasePattern)
    kept = {"name", "pattern", "agreement", "votes", "intervals", "resampling", "voters"}
    return [each.model_dump(mode="json", include=kept) for each in found]


def _extrapolate() -> Any:
    from aira_lib.architecture.scales import scale_named
    from aira_lib.extrapolate.stage import extrapolate
    from aira_lib.records import BasePattern, ScaledDesign, read_rows
    from aira_lib.study import ExtrapolateSection

    pattern = BasePattern(
        name="x", pattern="2A-M-Mb", layers=("A", "A", "M", "Mb"), method="top-k", settings={}, rank_by="validation",
        candidates=1, members=(), votes=(), agreement=(), in_archive=True,
    )  # fmt: skip
    scales = [scale_named(name, 3) for name in ("nano", "350M")]
    with tempfile.TemporaryDirectory() as name:
        extrapolate(ExtrapolateSection(), scales[1:], scales[:1], [pattern], work_in(Path(name)))
        found = read_rows(Path(name) / "designs.jsonl", ScaledDesign)
    kept = {"name", "pattern", "params_non_embedding", "params_embedding", "flops_per_token", "trainable"}
    return [each.model_dump(mode="json", include=kept) for each in found]


@cache
def _trained() -> tuple[Study, "tempfile.TemporaryDirectory[str]"]:
    """A tiny model, trained for a few steps: its study, and a folder that holds the record in `run`."""
    from aira_lib.architecture.scales import scale_named
    from aira_lib.extrapolate.stage import describe
    from aira_lib.pretrain.points import pretraining_points
    from aira_lib.pretrain.stage import pretrain

    place = tempfile.TemporaryDirectory()
    folder = Path(place.name)
    (folder / "text").mkdir()
    for number in range(40):
        (folder / "text" / f"{number:02d}.txt").write_text(f"document {number} of some text, {number * 7}\n" * 40)
    data = {"name": "files", "paths": [str(folder / "text")], "max_train_bytes": 30_000, "max_validation_bytes": 3_000}
    study = tiny_study(pretrain={"data": data, "isotoken": {"scale": "nano", "tokens": 6144, "seeds": [0]}})
    layers = ("A", "M", "Mb")
    design = describe(
        name="d@nano", base="d", kind="baseline", method="repeat", layers=layers, scale=scale_named("nano", 3),
        trainable=True,
    )  # fmt: skip
    (point,) = pretraining_points(study.pretrain, [design])
    pretrain(study.pretrain, point, work_in(folder / "run"))
    return study, place


def _training() -> Any:
    from aira_lib.datasets.batches import ArraySource, Batches
    from aira_lib.records import read_columns

    batches = Batches(ArraySource(np.arange(999), 999, 0), 16, 5, 2)
    columns = read_columns(Path(_trained()[1].name) / "run" / "loss.parquet")
    curve = {name: columns[name] for name in ("step", "tokens", "flops", "loss", "learning_rate")}
    return {**curve, "windows": [batches.rows(step).inputs[:, 0].tolist() for step in (0, 20)]}


def _evaluate() -> Any:
    from aira_lib.evaluate.stage import evaluate
    from aira_lib.records import Score, read_row

    study, folder = _trained()
    work = work_in(Path(folder.name) / "scores")
    evaluate(study.evaluate, study.pretrain.data, Path(folder.name) / "run", work)
    score = read_row(work.path / "score.json", Score)
    return score.model_dump(
        mode="json",
        include={"status", "loss", "loss_stderr", "bits_per_byte", "samples", "document_tokens", "by_position"},
    )


def _downstream() -> Any:
    from aira_lib.downstream.stage import downstream
    from aira_lib.records import ITEMS, Downstream, read_columns, read_row
    from tests.aira_lib.downstream.made_up import SLICES

    study, folder = _trained()
    work = work_in(Path(folder.name) / "tasks")
    section = DownstreamSection(tasks=("copa", "arc_e:1", "winogrande"), data=str(SLICES), limit=5)
    with patch.dict(os.environ, AIRA_SCRATCH=folder.name):  # answers that another version has kept are none of this one
        downstream(section, study.pretrain.data, Path(folder.name) / "run", work)
    found = read_row(work.path / "downstream.json", Downstream)
    items = read_columns(work.path / ITEMS)
    scores = [each.model_dump(mode="json", exclude={"seconds"}) for each in found.tasks]
    return {"scores": scores, **{name: items[name] for name in ("item", "digest", "chosen", "loglikelihoods", "cut")}}


def _latency() -> Any:
    """What is a function of the inputs: memory by formula, in which round which case is measured, and a front."""
    import torch

    from aira_lib.architecture.scales import scale_named
    from aira_lib.latency.memory import held, needed
    from aira_lib.latency.timing import interleaved
    from aira_lib.latency.workload import Workload
    from aira_lib.significance.pareto import Timed, latency_front

    class Steady:
        def seconds(self, call: Callable[[], object], times: int) -> float:
            call()
            return times / 10

    layers, cpu = ("A", "Mb", "M", "W"), torch.device("cpu")
    loads = [
        Workload(scale_named("nano", 3), 2, 64, mode, precision, cpu)
        for mode in ("prefill", "decode", "train") for precision in ("fp32", "bf16")
    ]  # fmt: skip
    order = list[str]()
    found = interleaved({name: lambda n=name: order.append(n) for name in "abc"}, Steady(), 5, 0.35)
    front = latency_front([Timed("a", 2.0, 1.0, 1.05), Timed("b", 3.0, 0.5, 0.5), Timed("c", 3.0, 0.6, 0.6)])
    memory = [[*held(layers, load), needed(layers, load)] for load in loads]
    return {"memory": memory, "order": "".join(order), "rounds": [list(found[name]) for name in "abc"], "front": front}


def _programs() -> Any:
    from aira_lib.study import TaskSection
    from aira_lib.tasks.airs import new_task_folder
    from aira_lib.tasks.programs.check import submission_in
    from aira_lib.tasks.programs.folder import load_program_folder
    from aira_lib.tasks.programs.opening import open_programs
    from aira_lib.tasks.programs.probes import request_for
    from aira_lib.tasks.programs.section import PartLimits, Predictions, Probes
    from aira_lib.tensors import write_tensors

    request = request_for(40, Probes(rows=9, repeats=3), b"secret", b"weights")
    tensors = write_tensors({"b": np.arange(6.0).reshape(2, 3), "a": np.ones(2, np.float32)})
    found = {
        "request": [request.first.tolist(), request.second.tolist()],
        "tensors": hashlib.sha256(tensors).hexdigest(),
        "defaults": [each.model_dump(mode="json") for each in (Predictions(), Probes(), PartLimits())],
    }
    with tempfile.TemporaryDirectory() as name:
        folder = load_program_folder(new_task_folder(Path(name) / "GoldenAccuracy", "program"))
        measure = open_programs(folder, TaskSection().validation_fraction, Path(name) / "task", None)
        files = submission_in(folder, folder.path / "gold_submission_random_1")
        found["scores"] = [
            each(files, lambda: 60.0, lambda note: None).score for each in (measure.validation, measure.test)
        ]
    return found


RESULTS: dict[Piece, Callable[[], Any]] = {
    "mad": _mad,
    "text": _text,
    "models": _models,
    "proxy": _proxy,
    "search": _search,
    "archive": _archive,
    "aggregate": _aggregate,
    "extrapolate": _extrapolate,
    "training": _training,
    "evaluate": _evaluate,
    "downstream": _downstream,
    "latency": _latency,
    "programs": _programs,
}
