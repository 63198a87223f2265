"""How large this study is beside the paper's, quantity by quantity."""

from collections.abc import Sequence

from aira_lib.datasets.language import TITLES, stand_in
from aira_lib.proxy.cost import sample_counts
from aira_lib.report.columns import Column, Row, Table, scientific
from aira_lib.report.inputs import ReportInputs
from aira_lib.study import ProxySection, Study
from aira_lib.study.language import PAPER_TEST_EXAMPLES, PAPER_TRAIN_EXAMPLES
from aira_lib.tasks import TASKS, proxy_for

# The paper's values: sections 3 and 6.1 and Appendix D.3. Equal tokens: 71,565 steps of 524,288 tokens.
PAPER = {
    "layers of a design": "16",
    "proxy data": "six MAD tasks",
    "proxy samples, training": "800",
    "proxy samples, test": "1,280",
    "steps of a search": "500, or 24 h",
    "distinct designs found": "2,307 (2 primitives), 2,248 (3 primitives)",
    "pretraining text": "DCLM-Baseline, in tokens of Llama 3",
    "equal tokens, tokens a run": "37,520,670,720",
    "equal tokens, scale": "1B",
    "equal tokens, seeds": "3",
    "equal FLOPs, budgets": "2×10¹⁹ to 4×10²⁰, five",
    "equal FLOPs, scales": "350M, 1B, 3B",
    "held-out samples": "1,000",
}

_SPLITS = (("train", "trained on"), ("validation", "held out"))


def sizes_table(study: Study, inputs: ReportInputs) -> Table:
    """One row a quantity: here, and in the paper."""
    here, paper = _here(study, inputs), {**PAPER, **_paper_samples(study)}
    rows: list[Row] = [{"quantity": name, "here": here[name], "paper": paper[name]} for name in PAPER]
    columns = [
        Column("quantity", "Quantity", style="name"),
        Column("here", "This study", style="text"),
        Column("paper", "The paper", style="text"),
    ]
    return Table("sizes", "Sizes of this study and of the paper's.", columns, rows)


def _proxy(study: Study) -> ProxySection:
    """The proxy with the data set of the task, where that is a built-in one."""
    return proxy_for(TASKS[study.task.name], study.proxy) if study.task.name in TASKS else study.proxy


def _paper_samples(study: Study) -> dict[str, str]:
    """The paper's rows of the proxy where it learns a text."""
    text = _proxy(study).text
    if text is None:
        return {}
    return {
        "proxy data": TITLES[text],
        "proxy samples, training": f"{PAPER_TRAIN_EXAMPLES[text]:,}",
        "proxy samples, test": f"{PAPER_TEST_EXAMPLES:,}",
    }


def _proxy_data(proxy: ProxySection) -> str:
    if proxy.text is None:
        ranks = f"ranked by {proxy.rank_by_accuracy} accuracy"
        return f"{len(proxy.tasks)} MAD tasks ({', '.join(proxy.tasks)}); width {proxy.d_model}; {ranks}"
    named = f"text of {', '.join(proxy.language.paths)}, in the place of {TITLES[proxy.text]}"
    what = str(stand_in(proxy.text, proxy.language) or named)
    return f"{what}; {proxy.language.tokenizer}, {proxy.language.seq_len} a sample; width {proxy.d_model}"


def _pretraining_text(study: Study, inputs: ReportInputs) -> str:
    """What was trained on and held out: by its name or its paths, with the sizes that the runs found."""
    data = study.pretrain.data
    what = ", ".join(data.paths) if data.paths else "source and documentation of Python's standard library, a stand-in"
    found = inputs.runs[0].data if inputs.runs else {}
    if data.shards:
        sizes = [f"{found[f'{part}_tokens']:,} tokens {words}" for part, words in _SPLITS if f"{part}_tokens" in found]
        return "; ".join([f"token shards of {data.shards}", *([found["tokenizer"]] if found else []), *sizes])
    parts = ((found.get(f"{part}_bytes"), words) for part, words in _SPLITS)
    return "; ".join([what, "bytes", *(f"{count:,} {words}" for count, words in parts if count is not None)])


def _here(study: Study, inputs: ReportInputs) -> dict[str, str]:
    proxy = _proxy(study)
    train, test = sample_counts(proxy)
    isotoken, isoflop = study.pretrain.isotoken, study.pretrain.isoflop
    absent = "not part of this study"
    return {
        "layers of a design": str(study.task.layers),
        "proxy data": _proxy_data(proxy),
        "proxy samples, training": f"{train:,}",
        "proxy samples, test": f"{test:,}",
        "steps of a search": _distinct([f"{agent.steps:,}" for agent in study.agents]),
        "distinct designs found": f"{len(inputs.archive):,}",
        "pretraining text": _pretraining_text(study, inputs) if study.trainable_scales() else absent,
        "equal tokens, tokens a run": f"{isotoken.tokens:,}" if isotoken else absent,
        "equal tokens, scale": isotoken.scale if isotoken else absent,
        "equal tokens, seeds": str(len(isotoken.seeds)) if isotoken else absent,
        "equal FLOPs, budgets": ", ".join(map(scientific, isoflop.budgets)) if isoflop else absent,
        "equal FLOPs, scales": ", ".join(isoflop.scales) if isoflop else absent,
        "held-out samples": f"at most {study.evaluate.samples:,}",
    }


def _distinct(values: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(values))
