"""`aira models`: what a model can do, before a search depends on it, and a small one of this machine's own."""

from typing import Annotated

import typer

from aira_lib.errors import UserError, nearest
from aira_lib.foreign import harmless

models_app = typer.Typer(no_args_is_help=True, help="Language models: see whether one works, serve a small one.")


@models_app.command()
def check(
    model: Annotated[
        str,
        typer.Argument(help="As in a study: offline, smollm2, random, bo-one-shot, replay:PATH, or a litellm name."),
    ],
    temperature: Annotated[float, typer.Option(min=0)] = 1.0,
    reasoning_effort: Annotated[
        str, typer.Option(help="none (it is not sent), minimal, low, medium or high.")
    ] = "none",
) -> None:
    """Ask a model once and say what works: latency, tokens, price, settings with an effect, the form of its reply."""
    from aira_lib.agents.check import check_model
    from aira_lib.agents.providers import provider_of
    from aira_lib.study.agent import effort_named

    provider_of(model).check(model, temperature)  # a name that nobody knows is no provider's refusal
    for line in check_model(model, temperature, effort_named(reasoning_effort)).lines():
        print(harmless(line))  # some of it the model or its provider wrote


@models_app.command()
def serve(
    model: Annotated[str, typer.Argument(help="smollm2, the one that a package carries (extra smollm).")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0 for any that is free.")] = 8000,
) -> None:
    """Serve a small model in OpenAI's protocol, until Ctrl-C. A study does not need it: `model: smollm2`."""
    from aira_lib.agents import smollm2

    if model != smollm2.SMOLLM2:
        raise UserError(f"no model {model!r} to serve{nearest(model, [smollm2.SMOLLM2])}")
    smollm2.serve(port, _say_where)


def _say_where(address: str) -> None:
    print(f"Serving smollm2 at {address}; stop it with Ctrl-C. To use it, from this machine:", flush=True)
    print(f"  in the environment:  OPENAI_API_BASE={address} OPENAI_API_KEY=local")
    print("  in the study:        model: openai/smollm2", flush=True)
