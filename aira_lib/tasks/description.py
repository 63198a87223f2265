"""A task in words: what AIRS-Bench calls project_description.md, the agent's view of the task."""

from aira_lib.architecture.pattern import render
from aira_lib.architecture.primitives import PRIMITIVES
from aira_lib.study import ProxySection
from aira_lib.tasks.task import SearchTask

_TEXT = """\
## Overview
Find the arrangement of layers that makes a small {model} possible. A design is a sequence of
exactly {n_layers} layers, each one of these primitives:
{primitives}
Every layer is residual: x + layer(norm(x)). A design fixes nothing but the order and the kinds of the layers; all
other dimensions are given (width {d_model}, {n_heads} attention heads, MLP width {d_ff}{others}). There are
{n_primitives}^{n_layers} = {n_designs:,} designs.

{scoring}

## Submission
Write `submission.csv` into the current directory, in one of two forms. Either one column `architecture` and one row
with a pattern, where a number repeats the primitive or the group in parentheses after it:

    architecture
    {pattern}

or one column `layer` and one row a layer, {n_layers} rows in all:

    layer
{layer_rows}

Both examples are the same design. A design of another length, or with another primitive, is invalid."""

_ON_MAD = """\
## How a design is scored
A program of yours writes a design; it is then trained and scored for you, outside of your program, on {n_tasks}
synthetic tasks of the MAD suite: {mad_tasks}. For each task a fresh model is trained for {epochs} epochs on the
training examples (AdamW, learning rate {learning_rate:g}, batches of {batch_size}) and scored on held-out examples.
Metric: {metric}, the mean over the tasks of the accuracy on the scored positions, {direction}. You are told the
validation fitness (a part of the training set that your program does not see); a hidden test set is scored after that.\
"""

_ON_TEXT = """\
## How a design is scored
A program of yours writes a design; it is then trained and scored for you, outside of your program, as a language model
of {title}: {text}. {stand_in}An example is a window of {seq_len} tokens
({tokens}), the target of each is the next token. A fresh model is trained for {epochs}
epoch{s} on the training examples (AdamW, learning rate {learning_rate:g}, batches of {batch_size}) and scored on
held-out examples.
Metric: {metric}, the mean cross-entropy in nats per token, {direction}. You are told the validation fitness (a part
of the training set that your program does not see); a hidden test set is scored after that.\
"""

_TEXTS = {
    "babistories": ("BabiStories", "children's stories in simple words", "stories by a grammar"),
    "dclm": ("DCLM", "a subset of a large corpus of documents", "source and help texts of Python's standard library"),
}


def description(task: SearchTask, n_layers: int, proxy: ProxySection) -> str:
    """Describe a task to an agent: what a design is, how it is scored and how it is submitted.

    The seed of the data is not told.
    """
    scaled = proxy.at_depth(n_layers)
    example = [task.primitives[i % 2] for i in range(n_layers)]
    primitives, scale = [PRIMITIVES.named(symbol) for symbol in task.primitives], proxy.scale()
    others = [said for primitive in primitives if (said := primitive.dimensions(scale))]
    return _TEXT.format(
        model="language model as good as" if proxy.text else "sequence model as accurate as",
        n_layers=n_layers,
        primitives="\n".join(f"- `{primitive.symbol}`: {primitive.words}" for primitive in primitives),
        d_model=scaled.d_model,
        n_heads=scaled.n_heads,
        d_ff=scaled.d_ff,
        others="".join(f", {said}" for said in others),
        n_primitives=len(task.primitives),
        n_designs=len(task.primitives) ** n_layers,
        scoring=_scoring(task, proxy),
        pattern=render(example),
        layer_rows="\n".join(f"    {layer}" for layer in example),
    )


def _scoring(task: SearchTask, proxy: ProxySection) -> str:
    training = {
        "epochs": proxy.epochs,
        "learning_rate": proxy.learning_rate,
        "batch_size": proxy.batch_size,
        "metric": task.metric,
        "direction": "lower is better" if task.lower_is_better else "higher is better",
    }
    if proxy.text is None:
        return _ON_MAD.format(n_tasks=len(proxy.tasks), mad_tasks=", ".join(proxy.tasks), **training)
    title, text, replaced = _TEXTS[proxy.text]
    stand_in = "" if proxy.language.paths else f"Where no files of it are given, as here, {replaced} stand in for it. "
    tokens, s = proxy.language.tokenizer, "" if proxy.epochs == 1 else "s"
    return _ON_TEXT.format(
        title=title, text=text, stand_in=stand_in, seq_len=proxy.language.seq_len, tokens=tokens, s=s, **training
    )  # fmt: skip
