"""`aira models`: what a model can do, before a search depends on it."""

from typing import Annotated

import typer

models_app = typer.Typer(no_args_is_help=True, help="Language models: see whether one works.")


@models_app.callback()
def _models() -> None:
    """Keep `check` a command of its own name while it is the only one."""


@models_app.command()
def check(
    model: Annotated[str, typer.Argument(help="As in a study: offline, replay:PATH, or any that litellm knows.")],
    temperature: Annotated[float, typer.Option(min=0)] = 1.0,
) -> None:
    """Ask a model once and say what works: latency, tokens, price, temperature and seed, the form of its reply."""
    from aira_lib.agents.check import check_model

    for line in check_model(model, temperature).lines():
        print(line)
