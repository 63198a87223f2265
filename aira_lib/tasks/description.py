"""A task in words: what AIRS-Bench calls project_description.md, the agent's view of the task."""

from aira_lib.architecture.pattern import render
from aira_lib.spec import ProxySection
from aira_lib.tasks.task import PRIMITIVE_NAMES, SearchTask

_TEXT = """\
## Overview
Find the arrangement of layers that makes a small sequence model as accurate as possible. A design is a sequence of
exactly {n_layers} layers, each one of these primitives:
{primitives}
Every layer is residual: x + layer(norm(x)). A design fixes nothing but the order and the kinds of the layers; all
other dimensions are given (width {d_model}, {n_heads} attention heads, MLP width {d_ff}{ssm}). There are
{n_primitives}^{n_layers} = {n_designs:,} designs.

## How a design is scored
A program of yours writes a design; it is then trained and scored for you, outside of your program, on {n_tasks}
synthetic tasks of the MAD suite: {mad_tasks}. For each task a fresh model is trained for {epochs} epochs on the
training examples (AdamW, learning rate {learning_rate:g}, batches of {batch_size}) and scored on held-out examples.
Metric: {metric}, the mean over the tasks of the accuracy on the scored positions, {direction}. You are told the
validation fitness (a part of the training set that your program does not see); a hidden test set is scored after that.

## Submission
Write `submission.csv` into the current directory, in one of two forms. Either one column `architecture` and one row
with a pattern, where a number repeats the primitive or the group in parentheses after it:

    architecture
    {pattern}

or one column `layer` and one row a layer, {n_layers} rows in all:

    layer
{layer_rows}

Both examples are the same design. A design of another length, or with another primitive, is invalid."""


def description(task: SearchTask, n_layers: int, proxy: ProxySection) -> str:
    """Describe a task to an agent: what a design is, how it is scored and how it is submitted."""
    example = [task.primitives[i % 2] for i in range(n_layers)]
    ssm = f", Mamba-2 state {proxy.d_state}, expansion {proxy.expand}" if "Mb" in task.primitives else ""
    return _TEXT.format(
        n_layers=n_layers,
        primitives="\n".join(f"- `{symbol}`: {PRIMITIVE_NAMES[symbol]}" for symbol in task.primitives),
        d_model=proxy.d_model,
        n_heads=proxy.n_heads,
        d_ff=proxy.d_ff,
        ssm=ssm,
        n_primitives=len(task.primitives),
        n_designs=len(task.primitives) ** n_layers,
        n_tasks=len(proxy.tasks),
        mad_tasks=", ".join(proxy.tasks),
        epochs=proxy.epochs,
        learning_rate=proxy.learning_rate,
        batch_size=proxy.batch_size,
        metric=task.metric,
        direction="lower is better" if task.lower_is_better else "higher is better",
        pattern=render(example),
        layer_rows="\n".join(f"    {layer}" for layer in example),
    )
