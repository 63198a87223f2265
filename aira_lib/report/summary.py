"""What the study found, in words that the numbers carry."""

from collections.abc import Sequence

from aira_lib.records import BasePattern
from aira_lib.report.columns import format_number, scientific
from aira_lib.report.comparison import Comparison
from aira_lib.report.entries import Entry, family
from aira_lib.report.inputs import ReportInputs
from aira_lib.report.isoflop import Frontier, noise_of
from aira_lib.report.results import label
from aira_lib.report.searches import by_agent, is_valid, measure
from aira_lib.report.tables import best_archive_rows
from aira_lib.scaling.noise import Noise
from aira_lib.study import Study

FEW_DOCUMENTS = 30


def summary_sentences(inputs: ReportInputs, comparison: Comparison, found: Sequence[Frontier]) -> list[str]:
    """The paragraph that opens the page, sentence by sentence."""
    return [
        *_search_sentences(inputs),
        *_isotoken_sentences(inputs, comparison),
        *_isoflop_sentences(found, noise_of(found, comparison.entries)),
    ]


def _search_sentences(inputs: ReportInputs) -> list[str]:
    nodes = [node for search in inputs.searches for node in search.nodes]
    agents = by_agent(inputs.searches)
    if not nodes:
        return ["No search has run."]
    valid = sum(map(is_valid, nodes))
    sentences = [
        f"{_number(len(agents), 'agent')} proposed {_number(len(nodes), 'candidate')} in "
        f"{_number(len(inputs.searches), 'search', 'searches')}; {valid:,} were valid, "
        f"{len(inputs.archive):,} of them distinct designs."
    ]
    best = best_archive_rows(inputs.archive, 1)
    if not best:
        return [*sentences, "No valid design was found."]
    test = f" and {best[0].test:.3f} on the hidden test" if best[0].test is not None else ""
    return [
        *sentences,
        f"The best find by validation is `{best[0].design}`, with a proxy {measure(best[0].lower_is_better)} of "
        f"{best[0].validation:.3f} on validation{test}.",
    ]


def _isotoken_sentences(inputs: ReportInputs, comparison: Comparison) -> list[str]:
    best = comparison.best(baseline=False)
    if not comparison.entries:
        return ["No design was pretrained at equal tokens."]
    if best is None:
        return ["None of the finds has a loss at equal tokens."]
    finds = sum(not comparison.is_baseline(entry) for entry in comparison.entries)
    where = f"at {best.design.scale.name} on {best.scores[0].point.tokens:,} tokens"
    opening = f"Pretrained {where}, " + (
        f"the best of {finds} finds, {label(best)}," if finds > 1 else f"the one find, {label(best)},"
    )
    sentences = [f"{opening} reaches {_loss(best)}{_against(best, comparison)}"]
    if finds > 1 and comparison.reference is not None:
        sentences.append("It was picked among the finds by this same loss, which flatters it.")
    return sentences + _provenance(inputs.patterns, inputs, best)


def _loss(entry: Entry) -> str:
    seeds = _number(len(entry.losses), "seed")
    spread = f" ± {entry.sd:.4f}" if entry.sd is not None else ""
    return f"a held-out loss of {entry.mean:.4f}{spread} nats a token ({seeds})"


def _against(best: Entry, comparison: Comparison) -> str:
    """How the best find stands to the baseline; never more than the spread over seeds allows."""
    reference, difference = comparison.reference, comparison.difference(best)
    if reference is None or difference is None:
        return "; no baseline was trained beside it."
    spread = f" ± {reference.sd:.4f}" if reference.sd is not None else ""
    against = f", against {reference.mean:.4f}{spread} for the baseline {label(reference)}: "
    amount = f"{format_number(abs(difference), '.4f')} {'lower' if difference < 0 else 'higher'}"
    margin = comparison.margin(best)
    match comparison.verdict(best):
        case "spread unknown":
            return f"{against}{amount}; with one seed the spread is unknown, so this may be chance."
        case "within the spread":
            return (
                f"{against}{amount}. This difference is within {comparison.spread} (95 % margin {margin:.4f}): "
                f"the study does not tell the two apart."
            )
        case _:
            return f"{against}{amount}, more than {comparison.spread} explains (95 % margin {margin:.4f})."


def _provenance(patterns: Sequence[BasePattern], inputs: ReportInputs, best: Entry) -> list[str]:
    """The proxy fitness behind the best pretrained find, where its pattern was itself evaluated."""
    pattern = next((p for p in patterns if p.name == best.design.base), None)
    if pattern is None:
        return []
    row = next((row for row in inputs.archive if tuple(row.layers) == tuple(pattern.layers)), None)
    if row is None:
        return [f"Its base pattern `{pattern.pattern}` is an aggregate that no search evaluated."]
    return [
        f"Its base pattern `{pattern.pattern}` has a proxy {measure(row.lower_is_better)} of {row.validation:.3f} on "
        "validation."
    ]


def _isoflop_sentences(found: Sequence[Frontier], noise: Noise | None) -> list[str]:
    ends = [(frontier.optima[-1], frontier) for frontier in found if frontier.optima]
    if not ends:
        return []
    budget = max(end[0][0] for end in ends)
    (_, optimum), best = min(
        (end for end in ends if end[0][0] == budget), key=lambda end: (end[0][1].loss, end[1].label)
    )
    inside = sum(optimum.source == "fitted minimum" for frontier in found for _, optimum in frontier.optima)
    total = sum(len(frontier.optima) for frontier in found)
    return [
        f"At equal compute, the lowest loss under the largest budget ({scientific(budget)} FLOPs) is "
        f"{optimum.loss:.4f} nats a token ({optimum.source}), by {best.label}; "
        f"{inside} of {total} optima are minima fitted within the measured sizes.",
        f"Losses of one design differ between seeds by {noise.sd:.4f} nats a token (standard deviation)."
        if noise
        else "With one seed the spread is unknown: which design is lowest may be chance.",
    ]


def selection_sentence(study: Study, inputs: ReportInputs) -> str:
    """What designs were chosen by."""
    ranks = {p.rank_by for p in inputs.patterns} or {section.rank_by for section in study.aggregate}
    if ranks == {"validation"}:
        return (
            "Selection: agents were steered by validation fitness, and base patterns were voted from designs ranked by "
            "validation fitness (the paper ranks them by test accuracy). The hidden test steered nothing."
        )
    which = ", ".join(p.name for p in inputs.patterns if p.rank_by == "test")
    return (
        "Selection: agents were steered by validation fitness, but base patterns were voted from designs ranked by "
        f"hidden test fitness, as in the paper{f' ({which})' if which else ''}: for their voters the test is no longer "
        "an unbiased measure."
    )


def spread_sentence(comparison: Comparison) -> str:
    """How the verdicts of the equal-token table come about."""
    reference = comparison.reference
    if reference is None and any(comparison.is_baseline(entry) for entry in comparison.entries):
        return "All baselines at equal tokens diverged, so there is nothing to take differences from."
    if reference is None:
        return "No baseline was trained at equal tokens, so there is nothing to take differences from."
    opening = f"Differences are to the baseline {label(reference)}. "
    if comparison.pooled_sd is None:
        return opening + "There is one seed a design: the spread over seeds is unknown, and no difference is judged."
    documents = (
        " and from the differences of the same documents"
        if comparison.documents
        else ", without the error of the held-out text, which these records do not hold by document"
    )
    return opening + (
        f"A verdict other than “within the spread” means that the difference of means leaves the 95 % interval of "
        f"Student's t, from the standard deviation over seeds pooled over all designs ({comparison.pooled_sd:.4f} nats "
        f"a token, {_number(comparison.degrees, 'degree')} of freedom){documents}; it is not corrected for the number "
        f"of comparisons."
    )


def sampling_sentence(comparison: Comparison) -> str:
    """The error of the held-out text itself; nothing of records that took windows for independent."""
    scores = [score for entry in comparison.entries for score in entry.scores if score.document_tokens]
    errors = [score.loss_stderr for score in scores if score.loss_stderr is not None]
    if not errors:
        return ""
    few = comparison.documents < FEW_DOCUMENTS
    return (
        f"The held-out text is a sample as well: by document, of which there are {comparison.documents:,}, its "
        f"standard error is at most {max(errors):.4f} nats a token. All designs are scored on the same documents, so "
        "most of it moves them together; what is left in a difference is part of its margin."
        + (" So few documents make these errors rough themselves: hold out more." if few else "")
    )


def divergence_sentences(inputs: ReportInputs, protocol: str) -> list[str]:
    """Runs of a protocol that diverged, and runs that were never scored."""
    runs = [run for run in inputs.runs if run.point.protocol == protocol]
    scores = [score for score in inputs.scores if score.point.protocol == protocol]
    diverged = {run.point.id for run in runs if run.status == "diverged"}
    ids = sorted(diverged | {score.point.id for score in scores if score.status == "diverged"})
    unscored = {run.point.id for run in runs} - {score.point.id for score in scores}
    sentences = []
    if ids:
        were = "run diverged and has" if len(ids) == 1 else "runs diverged and have"
        sentences.append(f"{len(ids)} {were} no loss; left out of means and fits: {', '.join(ids)}.")
    if unscored:
        sentences.append(f"{_number(len(unscored), 'run')} not evaluated: {', '.join(sorted(unscored))}.")
    return sentences


def best_summary(inputs: ReportInputs, comparison: Comparison) -> dict[str, object]:
    """The headline numbers for `summary.json`."""
    best, row = comparison.best(baseline=False), next(iter(best_archive_rows(inputs.archive, 1)), None)
    reference = comparison.reference
    return {
        "best_find": row.model_dump(mode="json", include={"design", "validation", "test"}) if row else None,
        "best_pretrained": _entry_summary(best, comparison) if best else None,
        "baseline": _entry_summary(reference, comparison) if reference else None,
        "pooled_sd_nats_per_token": comparison.pooled_sd,
        "degrees_of_freedom": comparison.degrees,
    }


def _entry_summary(entry: Entry, comparison: Comparison) -> dict[str, object]:
    return {
        "design": family(entry.design.name),
        "names": list(entry.names),
        "pattern": entry.design.pattern,
        "loss_nats_per_token": entry.mean,
        "loss_sd": entry.sd,
        "bits_per_byte": entry.bits_per_byte,
        "seeds": len(entry.scores),
        "diverged": entry.diverged,
        "difference_to_baseline": comparison.difference(entry),
        "margin_95": comparison.margin(entry),
        "verdict": comparison.verdict(entry),
    }


def _number(n: int, one: str, many: str = "") -> str:
    return f"{n:,} {one if n == 1 else many or one + 's'}"
