"""The 20 public AIRS-Bench tasks by their schemas, with small data of our own and scripts of our own.

What is theirs: names, metrics and their directions, bounds, the columns of raw data, of what agents see, of labels and
of submissions, and which scripts write caches beside raw data. Sizes and values are made up.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from tests.aira_lib.tasks.public_scripts import CUSTOM_LABELS, EVALUATE, EVALUATE_PREPARE, PREPARE, RETRIEVAL, TABLES

Rows = list[dict[str, Any]]
TRAIN, TEST = 20, 6


@dataclass(frozen=True)
class Public:
    """One task: `row` makes the raw row of a number; expressions are of Python, with `r` or `labels` and `first`."""

    name: str
    metric: str
    dataset: str
    row: Callable[[int], dict[str, Any]]
    train: Sequence[str]
    test: Sequence[str]
    scoring: str
    score: str
    lower: bool = False
    worst: float = 0.0
    optimal: float = 1.0
    sota: float = 0.9
    header: Sequence[str] = ()
    gold: str = ""
    maps: str = ""
    """The expression of a column that `map` makes, in the format {name: value}."""
    read: str = ""
    """How the scripts read raw data, where that is another way."""
    raw: Callable[[], dict[str, Rows]] | None = field(default=None)
    evaluate: str = ""
    prepare: str = ""
    rows: int = TEST
    shown: str = ""
    """The header that the description shows, if it is another than the gold submission's."""


MEAN_EQUAL = "value = sum(int(float(p)) == int(r[{0!r}]) for p, r in zip(first, labels)) / len(labels)"
MEAN_ERROR = "value = sum(abs(float(p) - r[{0!r}]) for p, r in zip(first, labels)) / len(labels)"
SAME_TEXT = "value = sum(p.strip().lower() == str({0}).strip().lower() for p, r in zip(first, labels)) / len(labels)"
QM9 = ("pos", "atomic_numbers", "A", "B", "C", "natoms", "tags", "id", "composition")


def _qm9(i: int) -> dict[str, Any]:
    shape = {"pos": [[0.1 * i, 1.0, 2.0]] * 3, "atomic_numbers": [6, 1, 1], "natoms": 3, "tags": [0, 0, 0]}
    named = dict.fromkeys(("A", "B", "C"), 0.5 + 0.25 * i) | {"id": i, "composition": "CH2"}
    targets = (
        "mu", "alpha", "eps_HOMO", "eps_LUMO", "delta_eps", "R_2_Abs", "ZPVE", "U_0", "U", "H", "G", "c_v", "U_0_ATOM",
        "U_ATOM", "H_ATOM", "G_ATOM",
    )  # fmt: skip
    return {**shape, **named, **{name: -1.5 * i + j for j, name in enumerate(targets)}}


def _of_qm9(prefix: str, target: str, sota: float, worst: float, scaled: bool) -> Public:
    times = f"{{'{target}': r['{target}'] * 1000}}"
    return Public(
        f"{prefix}MolecularPropertyPredictionQm9MeanAbsoluteError", "MeanAbsoluteError", "nimashoghi/qm9/default", _qm9,
        (*QM9, target), QM9, target, MEAN_ERROR.format(target), True, worst, 0.0, sota,
        (target,) if scaled else (), f"[r['{target}']]", times if scaled else "",
    )  # fmt: skip


def _sick(i: int) -> dict[str, Any]:
    return {
        "id": i, "sentence_A": f"A man number {i} plays", "sentence_B": f"Nobody {i} plays", "label": i % 3,
        "relatedness_score": 1 + (i * 7 % 20) / 5, "entailment_AB": "neutral", "sentence_A_dataset": "FLICKR",
    }  # fmt: skip


def _winogrande(i: int) -> dict[str, Any]:
    return {"sentence": f"The trophy {i} _", "option1": "trophy", "option2": "case", "answer": str(1 + i % 2)}


def _apps(i: int) -> dict[str, Any]:
    return {
        "problem_id": i, "question": f"Print {i}.", "solutions": json.dumps([f"print({i})"]), "difficulty": "easy",
        "input_output": json.dumps({"inputs": [""], "outputs": [f"a line that reads {i}"]}), "url": "u",
        "starter_code": "",
    }  # fmt: skip


def _finqa(i: int) -> dict[str, Any]:
    return {
        "id": f"ADI/2009/page_{i}.pdf", "pre_text": ["interest"], "post_text": ["expense"], "table": [["a", "1"]],
        "question": f"what is {i}?", "answer": "yes" if i % 4 == 0 else f"{i}.5%", "gold_evidence": ["e"],
        "program_re": "divide(1, 2)",
    }  # fmt: skip


def _squad(i: int) -> dict[str, Any]:
    return {
        "id": f"{i:024}", "title": "Notre_Dame", "context": f"It is the year {i}.", "question": "Which year?",
        "answers": {"text": [f"{i}", f"year {i}"], "answer_start": [15, 10]},
    }  # fmt: skip


def _duorc(i: int) -> dict[str, Any]:
    none = i % 3 == 0
    return {
        "plot_id": f"/m/{i}", "plot": f"A hero called {i}.", "title": "Film", "question_id": f"q{i}",
        "question": "Who?", "answers": [] if none else [f"hero {i}"], "no_answer": none,
    }  # fmt: skip


def _eli5(i: int) -> dict[str, Any]:
    text = f"because of the number {i}, which explains it"
    return {"q_id": f"q{i}", "title": f"Why {i}?", "selftext": "", "subreddit": "eli5",
            "answers": {"a_id": ["a"], "text": [text], "score": [3]}}  # fmt: skip


def _series(horizon: int, gaps: bool = False, several: int = 0) -> Callable[[], dict[str, Rows]]:
    """Monash series: each split goes on from the one before."""

    def made() -> dict[str, Rows]:
        found: dict[str, Rows] = {}
        for place, split in enumerate(("train", "validation", "test")):
            length = 12 + horizon * place
            rows = []
            for i in range(TRAIN):
                values: list[float | None] = [100 * i + t * (i + 1) / 7 for t in range(length)]
                if gaps:
                    values[2] = None
                target: Any = [[v + s for v in values if v is not None] for s in range(several)] if several else values
                row = {"item_id": f"T{i}", "start": "2020-01-01", "target": target}
                rows.append(row | ({"feat_dynamic_real": [values]} if several else {}))
            found[split] = rows
        return found

    return made


SERIES = (
    "[{'target': a['target'], 'label_target': b['target']} for a, b in zip(load(raw + '/train'), load(raw + "
    "'/validation'))], [{'target': a['target'], 'label_target': b['target']} for a, b in zip(load(raw + '/validation'),"
    " load(raw + '/test'))]"
)
FORECAST = """
errors = []
for p, r in zip(first, labels):
    wanted = r["label_target"][len(r["target"]):]
    given_ = json.loads(p.replace("NaN", "null").replace("nan", "null"))
    if len(given_) != len(wanted):
        raise ValueError(f"Prediction shape {len(given_)} does not match {len(wanted)}")
    errors += [abs(a - b) for a, b in zip(given_, wanted) if a is not None and b is not None]
value = sum(errors) / len(errors)
"""
WHOLE = """
errors = []
for p, r in zip(first, labels):
    given_ = [math.nan if x is None else x for x in json.loads(p.replace("NaN", "null"))]
    if len(given_) != len(r["label_target"]):
        raise ValueError("shapes")
    pairs = list(zip(given_, r["label_target"]))[len(r["target"]):]
    errors.append(sum(abs(a - b) for a, b in pairs if b is not None) / len(pairs))
value = sum(errors) / len(errors)
"""
FLAT = """
errors = []
for p, r in zip(first, labels):
    wanted = [b[len(a):] for a, b in zip(r["target"], r["label_target"])]
    errors += [abs(a - b) for row, want in zip(json.loads(p), wanted) for a, b in zip(row, want)]
value = sum(errors) / len(errors)
"""

PUBLIC = {
    each.name: each
    for each in (
        Public(
            "CodeGenerationAPPSPassAt5", "Pass@5", "codeparrot/apps/all", _apps,
            ("problem_id", "question", "solutions", "input_output", "difficulty", "url", "starter_code"),
            ("question", "starter_code"), "input_output",
            "place = [header.index(f'code{i}') for i in range(1, 6)]\n"
            "value = sum(any(row[p] in r['solutions'] for p in place) for row, r in zip(table, labels)) / len(labels)",
            sota=0.187, header=[f"code{i}" for i in range(1, 6)], gold="[json.loads(r['solutions'])[0]] * 5",
        ),
        Public(
            "CodeRetrievalCodeXGlueMRR", "MRR", "google/code_x_glue_tc_nl_code_search_adv/default",
            lambda i: {"id": i, "docstring_tokens": ["get", str(i)], "code_tokens": [f"def f{i}"], "url": "u"},
            (), (), "id",
            "ranked = {row[0]: json.loads(row[1]) for row in table}\n"
            "value = sum(1 / (ranked[r['query']].index(r['id']) + 1) if r['id'] in ranked[r['query']] else 0 "
            "for r in labels) / len(labels)",
            sota=0.6113, header=("query", "rankings"), gold="[r['query'], json.dumps([r['id'], 99])]",
            maps="{'query': ' '.join(r['docstring_tokens'])}", prepare=RETRIEVAL,
        ),
        Public(
            "CoreferenceResolutionSuperGLUEWSCAccuracy", "Accuracy", "aps/super_glue/wsc",
            lambda i: {"text": f"Mark {i} told", "span1_index": 0, "span2_index": 3, "span1_text": "Mark",
                       "span2_text": "he", "idx": i, "label": i % 2},
            ("text", "span1_index", "span2_index", "span1_text", "span2_text", "label"),
            ("text", "span1_index", "span2_index", "span1_text", "span2_text"), "label", MEAN_EQUAL.format("label"),
            worst=0.3653846154, sota=0.962,
        ),
        Public(
            "CoreferenceResolutionWinograndeAccuracy", "Accuracy", "allenai/winogrande/winogrande_xl", _winogrande,
            ("sentence", "option1", "option2", "answer"), ("sentence", "option1", "option2"), "answer",
            MEAN_EQUAL.format("answer"), worst=0.4664562, sota=0.854,
        ),
        _of_qm9("Cv", "c_v", 0.021, 132.63319396972656, False),
        _of_qm9("G", "G", 7.53, 11185110.0, True),
        Public(
            "GraphRegressionZincMae", "MAE", "graphs-datasets/ZINC/default",
            lambda i: {"x": [[i]], "node_feat": [[i, 1]], "edge_index": [[0], [1]], "edge_attr": [[1]],
                       "y": [0.5 * i], "num_nodes": 2},
            ("x", "node_feat", "edge_index", "edge_attr", "y", "num_nodes"),
            ("x", "node_feat", "edge_index", "edge_attr", "num_nodes"), "y",
            "value = sum(abs(float(p.strip('[]')) - r['y'][0]) for p, r in zip(first, labels)) / len(labels)",
            True, 9.699924, 0.0, 0.017,
        ),
        Public(
            "MathQuestionAnsweringSVAMPAccuracy", "Accuracy", "ChilleD/SVAMP/default",
            lambda i: {"ID": f"c{i}", "Body": f"{i} apples", "Question": "How many?", "Equation": f"( {i} )",
                       "Answer": f"{i}", "Type": "Addition", "question_concat": f"{i} apples. How many?"},
            ("ID", "Body", "Question", "Equation", "Answer", "Type", "question_concat"),
            ("ID", "Body", "Question", "question_concat"), "Answer",
            "value = sum(int(float(p)) == int(float(r['Answer'])) for p, r in zip(first, labels)) / len(labels)",
            sota=0.942,
        ),
        Public(
            "QuestionAnsweringDuoRCAccuracy", "Accuracy", "ibm-research/duorc/ParaphraseRC", _duorc,
            ("plot_id", "plot", "title", "question", "answers", "no_answer"),
            ("plot_id", "plot", "title", "question", "no_answer"), "answers",
            "try:\n    has, said = (header.index(n) for n in ('has_answer', 'answer'))\n"
            "except ValueError as error:\n    parser.error(f'Error loading submission_file: {error}')\n"
            "value = sum((row[said] in r['answers']) if row[has] == 'True' else r['no_answer'] "
            "for row, r in zip(table, labels)) / len(labels)",
            sota=0.4648, header=("has_answer", "answers"), gold="[not r['no_answer'], (r['answers'] or [''])[0]]",
            shown="has_answer, answer",
        ),
        Public(
            "QuestionAnsweringEli5RougeL", "RougeL", "Pavithree/eli5/default", _eli5,
            ("q_id", "title", "selftext", "subreddit", "answers"), ("q_id", "title", "selftext", "subreddit"),
            "answers",
            "value = sum(len({*p.split()} & {*r['answers']['text'][0].split()}) / len({*p.split(), "
            "*r['answers']['text'][0].split()}) for p, r in zip(first, labels)) / len(labels)",
            worst=0.002451528, sota=0.269, header=("answers",), gold="[r['answers']['text'][0]]",
        ),
        Public(
            "QuestionAnsweringFinqaAccuracy", "Accuracy", "dreamerdeo/finqa/default", _finqa,
            ("pre_text", "post_text", "table", "question", "answer"), ("pre_text", "post_text", "table", "question"),
            "answer", SAME_TEXT.format("r['answer']"), sota=0.7803,
        ),
        _of_qm9("R2Abs", "R_2_Abs", 0.033, 6536.567, False),
        Public(
            "ReadingComprehensionSquadExactMatch", "ExactMatch", "rajpurkar/squad/plain_text", _squad,
            ("title", "context", "question", "answers"), ("title", "context", "question"), "answers",
            "value = sum(p in r['answers']['text'] for p, r in zip(first, labels)) / len(labels)",
            sota=0.858, header=("answers",), gold="[r['answers']['text'][0]]",
        ),
        Public(
            "SentimentAnalysisYelpReviewFullAccuracy", "Accuracy", "Yelp/yelp_review_full/yelp_review_full",
            lambda i: {"label": i % 5, "text": f"We ate {i} soups"}, ("label", "text"), ("text",), "label",
            MEAN_EQUAL.format("label"), worst=0.18208, sota=0.778,
        ),
        Public(
            "TextualClassificationSickAccuracy", "Accuracy", "RobZamp/sick/default", _sick,
            ("sentence_A", "sentence_B", "label"), ("sentence_A", "sentence_B"), "label", MEAN_EQUAL.format("label"),
            worst=0.1451284, sota=0.905,
        ),
        Public(
            "TextualSimilaritySickSpearmanCorrelation", "SpearmanCorrelation", "RobZamp/sick/default", _sick,
            ("sentence_A", "sentence_B", "relatedness_score"), ("sentence_A", "sentence_B"), "relatedness_score",
            "rank = lambda v: [sum(b < a for b in v) + sum(b == a for b in v) / 2 for a in v]\n"
            "p, q = rank([*map(float, first)]), rank([r['relatedness_score'] for r in labels])\n"
            "mean = sum(p) / len(p)\n"
            "value = sum((a - mean) * (b - mean) for a, b in zip(p, q)) / (sum((a - mean) ** 2 for a in p) "
            "* sum((b - mean) ** 2 for b in q)) ** 0.5",
            worst=-0.5870786, sota=0.854,
        ),
        Public(
            "TimeSeriesForecastingKaggleWebTrafficMASE", "MASE", "Monash-University/monash_tsf/kaggle_web_traffic",
            dict, ("target", "label_target"), ("target",), "label_target", WHOLE, True, 502962963078372.0, 0.0, 0.622,
            ("label_target",),
            "[json.dumps([float('nan') if v is None else v for v in r['label_target']])]", read=SERIES,
            raw=_series(5, gaps=True), rows=TRAIN,
        ),
        Public(
            "TimeSeriesForecastingRideshareMAE", "MAE", "Monash-University/monash_tsf/rideshare", dict,
            ("target", "label_target"), ("target",), "label_target", FLAT, True, 30.2249, 0.0, 1.185,
            ("label_target",), "[json.dumps([b[len(a):] for a, b in zip(r['target'], r['label_target'])])]",
            read="(lambda a, b, c: ([{'target': x['target'], 'label_target': y['target']} for x, y in zip(a, b)], "
            "[{'target': x['target'], 'label_target': y['target']} for x, y in zip(b, c)]))(*(mapped(raw + '/' + s, "
            "lambda r: {'target': r['target'] + r['feat_dynamic_real']}) for s in ('train', 'validation', 'test')))",
            raw=_series(4, several=3), rows=TRAIN,
        ),
        Public(
            "TimeSeriesForecastingSolarWeeklyMAE", "MAE", "Monash-University/monash_tsf/solar_weekly", dict,
            ("target", "label_target"), ("target",), "label_target", FORECAST, True, 34761.99, 0.0, 576.35,
            ("label_target",), "[json.dumps(r['label_target'][len(r['target']):])]", read=SERIES, raw=_series(5),
            rows=TRAIN,
        ),
        _of_qm9("U0", "U_0", 5.83, 24183970.0, True),
    )
}  # fmt: skip


def public_folder(name: str, where: Path) -> tuple[Path, Path]:
    """Write one of the tasks; the task folder and the shared folder of raw data."""
    task, folder, shared = PUBLIC[name], where / name, where / "shared"
    folder.mkdir(parents=True)
    each = f"mapped(raw + '/%s', lambda r: {task.maps})" if task.maps else "load(raw + '/%s')"
    read = task.read or ", ".join(each % split for split in ("train", "test"))
    fill = {"RAW": task.dataset, "READ": read, "TRAIN_COLUMNS": repr(list(task.train)), "SCORE": task.score,
            "TEST_COLUMNS": repr(list(task.test)), "METRIC": repr(task.metric), "HEADER": repr(list(task.header)),
            "GOLD": task.gold}  # fmt: skip
    scripts = {
        "tables": TABLES, "prepare": task.prepare or PREPARE, "evaluate_prepare": EVALUATE_PREPARE,
        "evaluate": task.evaluate or EVALUATE,
    }  # fmt: skip
    if task.header:
        scripts["custom_labels"] = CUSTOM_LABELS
    for stem, text in scripts.items():
        for word, value in sorted(fill.items(), key=lambda item: -len(item[0])):
            text = text.replace(word, value)
        (folder / f"{stem}.py").write_text(text)
    (folder / "project_description.md").write_text(
        f"# {name}\nWrite submission.csv with the following header:\n```\n{task.shown or ','.join(task.header)}\n```\n"
    )
    (folder / "metadata.yaml").write_text(yaml.safe_dump(_metadata(task)))
    raw = task.raw() if task.raw else {
        "train": [task.row(i) for i in range(TRAIN)], "test": [task.row(100 + i) for i in range(TEST)]
    }  # fmt: skip
    for split, rows in raw.items():
        _save(rows, shared / task.dataset / split)
    return folder, shared


def _metadata(task: Public) -> dict[str, Any]:
    info = {
        "name": task.name, "dataset": task.dataset, "category": "Public", "research_problem": "Public",
        "output_type": "table", "config": "default", "train_split": "train", "test_split": "test",
        "input_columns": list(task.test) or ["docstring_tokens"], "scoring_column": task.scoring,
        "shape": f"({task.rows},{max(1, len(task.header))})", "custom_gold_labels": bool(task.header),
        "custom_rad_class": False, "metric": task.metric, "dataset_paper_url": "https://example.org",
        "sota": [{"sota_paper_url": "https://example.org", "sota_score": task.sota}],
        "estimated_worst_score": task.worst, "optimal_score": task.optimal,
    }  # fmt: skip
    return {
        "metric_lower_is_better": task.lower, "file_export_globs": ["submission.csv"],
        "container_python_requirements": ["datasets==4.0.0"], "logging_info": info,
        "evaluate_container_python_requirements": ["datasets==4.0.0"],
    }  # fmt: skip


def _save(rows: Rows, folder: Path) -> None:
    folder.mkdir(parents=True)
    table = pa.Table.from_pylist(rows)
    path = str(folder / "data-00000-of-00001.arrow")
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
