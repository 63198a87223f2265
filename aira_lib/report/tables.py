"""Records to table rows: the best designs, the base patterns, the designs at scale, stand-ins, versions and cost."""

from collections.abc import Mapping, Sequence
from typing import Any

from aira_lib.architecture.pattern import parse
from aira_lib.architecture.primitives import PRIMITIVES
from aira_lib.records import ArchiveRow, BasePattern, Failure, ScaledDesign, StandIn
from aira_lib.report.columns import Column, Row, Table, prefix
from aira_lib.report.entries import family, mean
from aira_lib.report.searches import measure
from aira_lib.report.strips import Strip

BEST_DESIGNS = 10


def best_archive_rows(archive: Sequence[ArchiveRow], n: int = BEST_DESIGNS) -> list[ArchiveRow]:
    """The designs of best validation fitness; equals by name."""
    return sorted(archive, key=lambda r: (r.validation if r.lower_is_better else -r.validation, r.design))[:n]


def best_designs_table(archive: Sequence[ArchiveRow]) -> Table:
    """The best designs of all searches, drawn."""
    rows: list[Row] = [
        {
            "rank": rank,
            "layers": Strip(row.layers),
            "design": row.design,
            "validation": row.validation,
            "test": row.test,
            "params": row.params,
            "found_by": ", ".join(row.agents),
            "first_seen": row.first_seen,
        }
        for rank, row in enumerate(best_archive_rows(archive), 1)
    ]
    unit = measure(any(row.lower_is_better for row in archive))
    columns = [
        Column("rank", "#", spec="d"),
        Column("layers", "Layers, from input to output", style="strip"),
        Column("design", "Design", style="code"),
        Column("validation", "Validation", unit, spec=".3f"),
        Column("test", "Hidden test", unit, spec=".3f"),
        Column("params", "Proxy parameters", shown=False),
        Column("found_by", "Searches that found it", shown=False),
        Column("first_seen", "First seen", style="name"),
    ]
    caption = f"The {len(rows)} best of {len(archive):,} distinct designs, ranked by validation fitness."
    return Table("best_designs", caption, columns, rows, "The archive is empty: no search found a valid design.")


def patterns_table(patterns: Sequence[BasePattern]) -> Table:
    """The base patterns with the agreement of the vote at every layer."""
    rows: list[Row] = [
        {
            "name": p.name,
            "layers": Strip(p.layers, p.agreement, p.votes),
            "pattern": p.pattern,
            "method": _method(p),
            "rank_by": p.rank_by,
            "voters": f"{_voters(p):,} of {p.candidates:,}" + _worth(p),
            "members": _voters(p),
            "candidates": p.candidates,
            # One voter agrees with itself, and is drawn by every resample: that is no agreement.
            "agreement": mean(p.agreement) if _voters(p) > 1 else None,
            "stays": p.resampling.pattern if p.resampling and _voters(p) > 1 else None,
            "layers_stay": mean(p.resampling.layers) if p.resampling and _voters(p) > 1 else None,
            "in_archive": p.in_archive,
            "representative": p.representative.design if p.representative else None,
            "distance": p.representative.distance if p.representative else None,
            "representative_fitness": p.representative.fitness if p.representative else None,
        }
        for p in patterns
    ]
    columns = [
        Column("name", "Pattern", style="name"),
        Column("layers", "Layers; above each, the share of the votes for it", style="strip"),
        Column("pattern", "Compact form", style="code"),
        Column("method", "Method", style="text"),
        Column("rank_by", "Ranked by", style="name"),
        Column("voters", "Voters", "designs", style="name"),
        Column("members", "Voters", shown=False),
        Column("candidates", "Candidates", shown=False),
        Column("agreement", "Agreement", "mean, %", spec=".0f", per=0.01),
        Column("stays", "Stays under resampling", "whole pattern, %", spec=".0f", per=0.01),
        Column("layers_stay", "Layers that stay", shown=False),
        Column("in_archive", "In archive", style="text"),
        Column("representative", "Nearest evaluated design", style="code"),
        Column("distance", "Its distance", "layers", spec="d"),
        Column("representative_fitness", "Its fitness", shown=False),
    ]
    caption = (
        "Aggregated base patterns. A pattern that no search saw has no proxy fitness of its own; the nearest evaluated "
        "design is the one with the fewest other layers. A pattern stays under resampling where the vote of members "
        "drawn anew, with replacement, gives it again; members of one search are alike, so that this is the best case. "
        "For the same reason an interval of the method bayes counts independent votes, by how much searches differ. "
        "Where one design votes, an outlier in score, the pattern is that design and nothing agrees with it."
    )
    return Table("patterns", caption, columns, rows, "No base pattern was aggregated.")


def _voters(pattern: BasePattern) -> int:
    return pattern.voters or len(pattern.members)


def _worth(pattern: BasePattern) -> str:
    votes = pattern.independent_votes
    return f", worth {mean(votes):.0f} independent votes a layer" if votes else ""


def _method(pattern: BasePattern) -> str:
    """The method with the settings that matter to it."""
    names = {
        "cluster-vote": ("clusters", "context"),
        "top-k": ("top_k", "half_life", "context"),
        "top-k-uniform": ("top_k", "context"),
        "bayes": ("clusters", "prior", "credibility"),
    }.get(pattern.method)
    chosen = {k: v for k, v in pattern.settings.items() if (k in names if names else k not in ("method", "rank_by"))}
    only = {k: ", ".join(pattern.settings.get(k) or ()) or None for k in ("datasets", "agents")}
    said = {k: v for k, v in {**chosen, **only}.items() if v is not None}
    return ", ".join([pattern.method, *(f"{key.replace('_', ' ')} {value}" for key, value in said.items())])


def votes_table(patterns: Sequence[BasePattern]) -> Table:
    """The votes behind every layer of every pattern: shares of the paper's primitives and of others that have votes."""
    primitives = PRIMITIVES.known(name for p in patterns for votes in p.votes for name in votes)
    columns = [Column(key, key, style="text") for key in ("name", "layer", "winner")]
    columns += [Column(key, key) for key in ("agreement", *(f"share_{p}" for p in primitives))]
    columns += [Column(key, key) for key in ("stays", "interval_low", "interval_high", "independent_votes")]
    rows: list[Row] = [
        {
            "name": p.name,
            "layer": i + 1,
            "winner": layer,
            "agreement": p.agreement[i],
            **{f"share_{name}": p.votes[i].get(name, 0.0) for name in primitives},
            "stays": p.resampling.layers[i] if p.resampling else None,
            "interval_low": p.intervals[i][0] if p.intervals else None,
            "interval_high": p.intervals[i][1] if p.intervals else None,
            "independent_votes": p.independent_votes[i] if p.independent_votes else None,
        }
        for p in patterns
        for i, layer in enumerate(p.layers)
    ]
    return Table("pattern_votes", "Votes by layer.", columns, rows)


def members_table(patterns: Sequence[BasePattern]) -> Table:
    """The designs that voted for every pattern; of very many, the fittest that its record lists."""
    columns = [Column("name", "name", style="name"), Column("design", "design", style="text")]
    columns += [Column("weight", "weight"), Column("fitness", "fitness"), Column("dataset", "dataset", style="name")]
    rows: list[Row] = [
        {"name": p.name, "design": m.design, "weight": m.weight, "fitness": m.fitness, "dataset": m.dataset}
        for p in patterns
        for m in p.members
    ]
    return Table("pattern_members", "Voters.", columns, rows)


def designs_table(designs: Sequence[ScaledDesign], trainable: bool) -> Table:
    """Designs at the scales that are trained here, or at those that are only described."""
    chosen = [design for design in designs if design.trainable == trainable]
    primitives = PRIMITIVES.known(name for design in chosen for name in design.counts)
    rows = [_design_row(design, primitives) for design in chosen]
    per, letter = (1e9, "B") if not trainable else prefix([d.params_non_embedding for d in chosen], "B")
    flops, flops_letter = prefix([d.flops_per_token for d in chosen])
    columns = [
        Column("scale", "Scale", style="name"),
        Column("name", "Design", style="name"),
        Column("layers", "Layers, from input to output", style="strip"),
        Column("n_layers", "Layers", spec="d"),
        *(Column(p, p, "layers", spec="d") for p in primitives),
        Column("params_non_embedding", "Without embedding", f"{letter} parameters", spec=".3f", per=per),
        Column("params", "With embedding", f"{letter} parameters", spec=".3f", per=per),
        Column("flops_per_token", "Training", f"{flops_letter}FLOPs a token", spec=".3f", per=flops),
        Column("pattern", "Pattern", shown=False),
        Column("kind", "Kind", shown=False),
        Column("method", "Method", shown=False),
    ]
    caption = (
        "Designs at the scales that this study trains."
        if trainable
        else "Designs at the scales that this study describes and does not train."
    ) + " FLOPs are forward and backward, without embedding and output head. Baselines are marked."
    name = "designs_trained" if trainable else "designs_described"
    empty = "No design was scaled to a size that is trained." if trainable else "No design was described at scale."
    return Table(name, caption, columns, rows, empty, group="scale", marked="baseline")


def _design_row(design: ScaledDesign, primitives: Sequence[str]) -> Row:
    return {
        "scale": design.scale.name,
        "name": family(design.name),
        "layers": Strip(parse(design.pattern), mini=True),
        "n_layers": design.n_layers,
        **{primitive: design.counts.get(primitive, 0) for primitive in primitives},
        "params_non_embedding": design.params_non_embedding,
        "params": design.params_non_embedding + design.params_embedding,
        "flops_per_token": design.flops_per_token,
        "pattern": design.pattern,
        "kind": design.kind,
        "method": design.method,
        "baseline": design.kind == "baseline",
    }


def stand_ins_table(stand_ins: Sequence[StandIn]) -> Table:
    """What was small or synthetic, each once."""
    unique = dict.fromkeys((s.what, s.instead_of, s.detail) for s in stand_ins)
    rows: list[Row] = [{"what": what, "instead_of": instead, "detail": detail} for what, instead, detail in unique]
    columns = [
        Column("what", "This study used", style="text"),
        Column("instead_of", "In the place of", style="text"),
        Column("detail", "Size and detail", style="text"),
    ]
    return Table("stand_ins", "", columns, rows, "No stage declared a stand-in.")


def failed_units_table(failures: Sequence[Failure]) -> Table:
    """Which units left no record, and why."""
    rows: list[Row] = [{"stage": each.stage, "unit": each.unit, "reason": each.reason} for each in failures]
    columns = [
        Column("stage", "Stage", style="name"),
        Column("unit", "Unit", style="name"),
        Column("reason", "Why it failed", style="text"),
    ]
    return Table("failed_units", "", columns, rows, "No unit failed.")


def versions_table(versions: Mapping[str, str]) -> Table:
    """What computed the results."""
    columns = [Column("name", "Part", style="name"), Column("version", "Version", style="text")]
    rows: list[Row] = [{"name": name, "version": version} for name, version in versions.items()]
    return Table("versions", "Versions of what computed the results.", columns, rows, "No versions were recorded.")


def further_table(name: str, does: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """What a stage of somebody's own found, in the columns that its rows have."""
    names = list(dict.fromkeys(column for row in rows for column in row))
    columns = [Column(each, each.replace("_", " "), style="name" if i == 0 else "text") for i, each in enumerate(names)]
    shown: list[Row] = [{each: _shown(row.get(each)) for each in names} for row in rows]
    return Table(name, does, columns, shown, "It left no rows.")


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)


def cost_table(timings: Mapping[str, float]) -> Table:
    """Seconds by stage, in the order of the flow, and their sum."""
    total = sum(timings.values())
    stages = list(timings)
    rows: list[Row] = [
        {"stage": stage, "seconds": float(timings[stage]), "share": timings[stage] / total if total else None}
        for stage in stages
    ]
    if rows:
        rows.append({"stage": "all stages", "seconds": float(total), "share": 1.0 if total else None, "total": True})
    columns = [
        Column("stage", "Stage", style="name"),
        Column("seconds", "Time", "s", spec=",.1f"),
        Column("share", "Share", "%", spec=".0f", per=0.01),
    ]
    caption = "Cost of the study, summed over its records; stages that ran at the same time both count."
    return Table("cost", caption, columns, rows, "No timings were recorded.", marked="total")
