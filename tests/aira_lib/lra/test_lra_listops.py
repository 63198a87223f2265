"""ListOps against slow ways of drawing, reading and evaluating it, and its ladder against measured numbers."""

import math
import re
import statistics
from collections import Counter
from itertools import islice
from random import Random

import pytest
from scipy.stats import chi2_contingency, chisquare, ks_2samp

from aira_lib.errors import UserError
from aira_lib.lra.data.ladder import ladder, parse
from aira_lib.lra.data.listops import GRAMMARS, Expression, Grammar, drawn, generate, text_form
from aira_lib.lra.data.listops_rows import read_tsv, write_tsv
from aira_lib.lra.data.tokens import LISTOPS_VOCABULARY, operator_ids, operator_names, padded_ids

SMALL = Grammar(5, 4, 10, 90)


def by_rewriting(ids: bytes) -> int:
    """The value of an expression, its innermost lists replaced by their values until none is left."""
    text = " ".join(operator_names(ids))
    work = {"MIN": min, "MAX": max, "MED": lambda d: int(statistics.median(d)), "SM": lambda d: sum(d) % 10}
    inner = re.compile(r"\[(\w+)((?: \d)+) \]")
    while "[" in text:
        text = inner.sub(lambda found: str(work[found[1]]([int(each) for each in found[2].split()])), text)
    return int(text)


def by_pairs(text: str) -> int:
    """The value of an expression in its text form, by the pairs of its parentheses, as LRA's programs take it."""
    places = iter(text.split())

    def item() -> object:
        word = next(places)
        if word != "(":
            return int(word) if word.isdigit() else word
        pair = (item(), item())
        assert next(places) == ")"
        return pair

    def arguments(tree: object) -> tuple[str, list[int]]:
        if isinstance(tree, str):
            return tree, []
        name, before = arguments(tree[0])
        return name, [*before, value(tree[1])]

    def value(tree: object) -> int:
        if isinstance(tree, int):
            return tree
        assert tree[1] == "]"
        name, digits = arguments(tree[0])
        if name == "[MED":
            return math.floor(statistics.median(digits))
        return {"[MIN": min, "[MAX": max, "[SM": lambda d: sum(d) % 10}[name](digits)

    return value(item())


def reference(n: int, grammar: Grammar, random: Random) -> list[list[str]]:
    """Expressions by the definition, as tokens: whole trees are drawn, then those of a wrong length thrown away."""

    def tree(depth: int) -> list[str]:
        if depth == grammar.depth or random.random() > 0.25:
            return [str(random.randrange(10))]
        children = [tree(depth + 1) for _ in range(random.randint(2, grammar.arguments))]
        operator = random.choice(["[MIN", "[MAX", "[MED", "[SM"])
        return [operator, *(token for child in children for token in child), "]"]

    found: list[list[str]] = []
    while len(found) < n:
        tokens = tree(1)
        if grammar.shortest <= len(tokens) <= grammar.longest:
            found.append(tokens)
    return found


def test_values_are_those_of_two_other_ways_to_evaluate():
    for expression in [*generate(150, 0, GRAMMARS["laptop"]), *generate(10, 0, GRAMMARS["paper"])]:
        assert by_rewriting(expression.ids) == expression.value
        assert by_pairs(text_form(expression.ids)) == expression.value
        assert parse(expression.ids).value == expression.value


def test_text_form_is_left_nested_pairs():
    assert text_form(operator_ids("[MAX 4 3 ]")) == "( ( ( [MAX 4 ) 3 ) ] )"
    nested = "( ( ( [SM ( ( ( [MIN 1 ) 2 ) ] ) ) 3 ) ] )"
    assert text_form(operator_ids("[SM [MIN 1 2 ] 3 ]")) == nested
    assert by_pairs(nested) == 4


def test_from_text_to_tokens_and_back():
    for ids, _ in generate(100, 1, GRAMMARS["laptop"]):
        assert operator_ids(text_form(ids)) == ids
        assert operator_ids(" ".join(operator_names(ids))) == ids
    assert list(operator_ids("[FIRST 0 9 ]")) == [16, 1, 10, 15]
    rows = padded_ids([bytes([11, 1, 15]), bytes(range(1, 9))], 5)
    assert rows.tolist() == [[11, 1, 15, 0, 0], [1, 2, 3, 4, 5]]
    assert rows.max() < LISTOPS_VOCABULARY


def test_expressions_keep_to_their_grammar():
    grammar = Grammar(4, 3, 12, 40)
    found = generate(300, 3, grammar)
    assert len({each.ids for each in found}) == 300
    for ids, _ in found:
        assert 12 <= len(ids) <= 40
        depths = [0]
        for each in ids:
            depths.append(depths[-1] + (11 <= each < 15) - (each == 15))
        assert max(depths) <= 3, "digits alone are at the lowest depth"
        assert max(map(len, children(parse(ids)))) <= 3
        assert min(map(len, children(parse(ids)))) >= 2


def children(tree):
    if isinstance(tree, int):
        return []
    return [tree.arguments, *(found for each in tree.arguments for found in children(each))]


def test_lengths_operators_and_values_are_distributed_as_the_definition_has_them():
    ours = generate(3000, 5, SMALL)
    slow = reference(3000, SMALL, Random(6))
    assert ks_2samp([len(each.ids) for each in ours], [len(each) for each in slow]).pvalue > 1e-4
    values = Counter(each.value for each in ours), Counter(by_rewriting(operator_ids(" ".join(each))) for each in slow)
    tokens = Counter(each.ids[0] for each in ours), Counter(operator_ids(each[0])[0] for each in slow)
    for one, other in (values, tokens):
        assert set(one) == set(other)
        assert chi2_contingency([[count[each] for each in sorted(one)] for count in (one, other)]).pvalue > 1e-4


def test_a_node_is_an_operator_in_a_quarter_of_draws_and_all_else_is_uniform():
    draws = [each.ids for each in islice(drawn(Random(0), Grammar(2, 10, 1, 99)), 24_000)]
    lists = [ids for ids in draws if len(ids) > 1]
    assert abs(len(lists) - 6_000) < 4 * math.sqrt(24_000 * 0.25 * 0.75)
    for counts, kinds in (
        (Counter(ids[0] for ids in lists), 4),
        (Counter(len(ids) - 2 for ids in lists), 9),
        (Counter(each for ids in lists for each in ids[1:-1]), 10),
        (Counter(ids[0] for ids in draws if len(ids) == 1), 10),
    ):
        assert len(counts) == kinds
        assert chisquare(list(counts.values())).pvalue > 1e-4
    assert {len(ids) - 2 for ids in lists} == set(range(2, 11))


def test_the_seed_alone_fixes_them():
    found = generate(40, 9, GRAMMARS["laptop"])
    assert generate(20, 9, GRAMMARS["laptop"]) == found[:20], "fewer are the first of more"
    assert generate(40, 10, GRAMMARS["laptop"]) != found


def test_a_grammar_with_too_few_expressions_is_refused():
    with pytest.raises(UserError, match="has hardly 30 distinct"):
        generate(30, 0, Grammar(1, 2, 1, 1))
    assert sorted(each.value for each in generate(10, 0, Grammar(1, 2, 1, 1))) == list(range(10))


def test_the_ladder_has_the_rungs_that_were_measured():
    """Numbers of 1,500 expressions that another program drew and read, by the original's parameters."""
    measured = {
        "root operator": 0.370,
        "root and own digits": 0.495,
        "one level": 0.575,
        "two levels": 0.733,
        "three levels": 0.837,
    }
    expressions = generate(900, 0, GRAMMARS["paper"])
    found = {each.name: each for each in ladder(expressions[:300], expressions[300:])}
    assert list(found) == ["majority", *measured]
    for name, share in measured.items():
        error = math.sqrt(share * (1 - share) * (1 / 1500 + 1 / 600))
        assert abs(found[name].accuracy - share) < 3.5 * error, name
    assert 0.11 < found["majority"].accuracy < 0.24
    rungs = [each.accuracy for each in found.values()]
    assert rungs == sorted(rungs)


def test_each_rung_knows_what_it_says():
    def made(text: str) -> Expression:
        return Expression(operator_ids(text), by_rewriting(operator_ids(text)))

    train = [made("[MAX 1 [MIN 2 3 ] ]")] * 3 + [made("[SM 1 [MAX 4 4 ] ]")]  # typical: MAX 2, MIN below 2, MAX below 4
    deep = made("[MAX 0 [MIN 7 [MAX 8 8 ] ] ]")  # comes to 7
    found = {each.name: each.accuracy for each in ladder(train, [deep])}
    assert found == dict.fromkeys(found, 0) | {"three levels": 1}
    lucky = made("[MAX 9 [MIN 7 8 ] ]")
    found = {each.name: each.accuracy for each in ladder(train, [lucky])}
    assert found == dict.fromkeys(found, 1) | {"majority": 0, "root operator": 0}


@pytest.mark.parametrize("broken", ["[MAX 1 2", "1 2", "]", "[MAX ]", "[MAX 1 ] 2", "[FIRST 1 2 ]", ""])
def test_what_is_no_expression_has_no_tree(broken):
    with pytest.raises(ValueError, match=r"closes nothing|not one whole expression"):
        parse(operator_ids(broken))


def test_files_are_read_as_lra_writes_them(tmp_path):
    file = tmp_path / "basic_val.tsv"
    file.write_bytes(b"Source\tTarget\r\n( ( ( [MAX 4 ) 3 ) ] )\t4\r\n( ( ( [SM 9 ) 9 ) ] )\t8\r\n")
    read = read_tsv(file)
    assert [(operator_names(ids), value) for ids, value in read] == [
        (["[MAX", "4", "3", "]"], 4), (["[SM", "9", "9", "]"], 8),
    ]  # fmt: skip
    before = file.read_bytes()
    write_tsv(file, read)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"Source,Target\n", "its first line is not Source and Target"),
        (b"", "its first line"),
        (b"Source\tTarget\n( ( ( [MAX 4 ) 3 ) ] )\t11\n", "line 2 is not an expression, a tab and a digit"),
        (b"Source\tTarget\n\t3\n", "line 2"),
        (b"Source\tTarget\n\xff\xfe\t3\n", "not ListOps as tab-separated text"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, content, said):
    file = tmp_path / "basic_val.tsv"
    file.write_bytes(content)
    with pytest.raises(UserError, match=said) as refused:
        read_tsv(file)
    assert "\n" not in str(refused.value)
