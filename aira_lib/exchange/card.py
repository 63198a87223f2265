"""The model card of an exported model, README.md as model hubs show it, made from records alone.

What is not known is said to be not known; a licence is for whoever publishes the model to choose.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from aira_lib import __version__
from aira_lib.architecture.cost import exact_params
from aira_lib.architecture.pattern import parse
from aira_lib.exchange.card_scores import cell, results_of, score_lines
from aira_lib.foreign import in_a_line
from aira_lib.records import Downstream, Manifest, Score, TrainingRun

CARD = "README.md"
_UNKNOWN = "Nothing is known here of its training: it was read from files (SHA-256 below), which say nothing of it."
_LICENCE = (
    "None is stated. Whoever publishes this model chooses one, and adds `license:` to the head of this file; what the "
    "training text allows bears on it."
)


def model_card(
    run: TrainingRun,
    manifest: Manifest | None = None,
    *,
    score: Score | None = None,
    downstream: Downstream | None = None,
    remote_code: bool = False,
) -> str:
    """The card of a model.

    Args:
        run: how it was trained.
        manifest: of the record of that, with its stand-ins, key and versions.
        score: on held-out text.
        downstream: on downstream tasks.
        remote_code: transformers loads it by files that lie beside the weights.

    Returns:
        Markdown with a head in YAML.
    """
    name = in_a_line(run.point.design.name)
    sections = [
        ("Design", _table(_design(run))),
        ("Training", _training(run)),
        ("Text", _table(_flat(run.data))),
        ("Scores", score_lines(score, downstream)),
        ("Loading it", _loading(remote_code)),
        ("Versions", _table(_versions(run, manifest, downstream))),
        ("Licence", [_LICENCE]),
    ]
    lines = [_head(run, downstream), f"# {name}", "", _in_a_sentence(run), *_box(manifest)]
    for title, content in sections:
        lines += ["", f"## {title}", "", *content]
    return "\n".join(lines) + "\n"


def _head(run: TrainingRun, downstream: Downstream | None) -> str:
    """The YAML that model hubs read."""
    name = in_a_line(run.point.design.name)
    content: dict[str, Any] = {"library_name": "transformers", "pipeline_tag": "text-generation", "tags": ["aira"]}
    if downstream and (results := results_of(downstream)):
        content["model-index"] = [{"name": name, "results": results}]
    return f"---\n{yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)}---\n"


def _in_a_sentence(run: TrainingRun) -> str:
    design = run.point.design
    count = exact_params(parse(design.pattern), design.scale)
    trained = f", trained on {run.tokens:,} tokens" if run.tokens else ""
    diverged = " **The training diverged.**" if run.status == "diverged" else ""
    return f"A causal language model of {count:,} parameters and {design.n_layers} layers{trained}.{diverged}"


def _box(manifest: Manifest | None) -> Iterator[str]:
    """What was small or synthetic, where nobody overlooks it."""
    if manifest and manifest.stand_ins:
        yield from ("", "> **Stand-ins.** Results of this model are not those of what these stand in for.", ">")
        for each in manifest.stand_ins:
            yield f"> - {in_a_line(str(each))}{f' ({in_a_line(each.detail)})' if each.detail else ''}"


def _design(run: TrainingRun) -> Iterator[tuple[str, object]]:
    design, scale = run.point.design, run.point.design.scale
    yield "layers, first to last", f"`{design.pattern}`"
    yield "of each", ", ".join(f"{count} {symbol}" for symbol, count in design.counts.items() if count)
    if design.base != design.name:
        yield "made of", f"{design.base}{f': {design.change}' if design.change else ''}"
    embedding = "embedding, which is the head too" if scale.tie_embeddings else "embedding and head"
    norms = exact_params(parse(design.pattern), scale) - design.params_non_embedding - design.params_embedding
    sizes = (design.params_non_embedding, "layers"), (design.params_embedding, embedding), (norms, "norms")
    yield "parameters", ", ".join(f"{count:,} in {place}" for count, place in sizes)
    yield "scale", f"{scale.name}: width {scale.d_model}, context {scale.seq_len:,}, {scale.vocab_size:,} tokens"
    yield "attention", f"{scale.n_heads} heads of {scale.head_dim}, {scale.n_kv_heads} of keys; {_rotary(run)}"
    yield "MLP", f"{scale.mlp}, width {scale.d_ff}"
    if design.counts.get("Mb"):
        yield "Mamba-2", f"width {scale.d_ssm}, state {scale.d_state}, heads of {scale.ssm_head_dim}"
    if design.counts.get("W"):
        yield "window", f"{scale.attention_window:,} positions"


def _rotary(run: TrainingRun) -> str:
    scale = run.point.design.scale
    stretched = f", stretched {scale.rope_scaling.factor:g} times as Llama 3 does" if scale.rope_scaling else ""
    return f"rotary, base {scale.rope_theta:g}{stretched}"


def _training(run: TrainingRun) -> list[str]:
    if not run.steps:
        return [_UNKNOWN]
    computed = [
        run.device,
        run.precision,
        run.kernels and f"{run.kernels} kernels",
        run.trainer and f"by {run.trainer}",
    ]
    rows: list[tuple[str, object]] = [
        ("tokens", f"{run.tokens:,} in {run.steps:,} steps of {run.point.design.scale.tokens_per_step:,}"),
        ("FLOPs", f"{run.flops:.4g}, by the convention of the AIRA paper"),
        ("budget", f"{run.point.budget_flops:.4g} FLOPs" if run.point.budget_flops else "by tokens"),
        ("seed", run.point.seed),
        ("computed on", ", ".join(part for part in computed if part) or "not known"),
        ("training loss at the end", f"{run.final_train_loss:.4f} nats a token" if run.final_train_loss else "none"),
    ]
    if run.nonfinite:
        rows.append(("steps that were not finite", f"{len(run.nonfinite):,}, which changed nothing"))
    return _table(rows)


def _loading(remote_code: bool) -> list[str]:
    trust = ", trust_remote_code=True" if remote_code else ""
    also = (
        " Its layers are in `modeling_aira.py` beside the weights, which this runs: read it first."
        if remote_code
        else ""
    )
    return [
        f"With transformers 5; `FOLDER` is where this file lies.{also}",
        "",
        "```python",
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        f'model = AutoModelForCausalLM.from_pretrained("FOLDER"{trust})',
        f'tokenizer = AutoTokenizer.from_pretrained("FOLDER"{trust})',
        'tokens = model.generate(**tokenizer("Once", return_tensors="pt"), max_new_tokens=20)',
        "print(tokenizer.decode(tokens[0]))",
        "```",
        "",
        "With AIRA: `aira import-model FOLDER --to runs/NAME`, then `aira evaluate runs/NAME --tasks six`.",
    ]


def _versions(
    run: TrainingRun, manifest: Manifest | None, downstream: Downstream | None
) -> Iterator[tuple[str, object]]:
    yield "this card", f"AIRA {__version__}"
    if manifest:
        yield "record", f"`{manifest.key}`{f' of the study {manifest.study}' if manifest.study else ''}"
        yield "training", _listed(manifest.versions)
    if downstream and downstream.versions:
        yield "scores", _listed(downstream.versions)
    yield "point", f"`{run.point.id}`"


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items()) or "not known"


def _flat(data: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, object]]:
    """What a run says of its text: a row a value, names of those in groups joined."""
    for name, value in data.items():
        place = f"{above}{name.replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{place}: ")
        elif isinstance(value, str | bool) or value is None:
            yield place, "not known" if value is None else f"`{value}`" if len(str(value)) == 64 else value
        else:
            yield place, f"{value:,}" if isinstance(value, int | float) else json.dumps(value, ensure_ascii=False)


def _table(rows: Iterator[tuple[str, object]] | Sequence[tuple[str, object]]) -> list[str]:
    cells = [f"| {cell(name)} | {cell(value)} |" for name, value in rows]
    return ["| | |", "| --- | --- |", *cells]
