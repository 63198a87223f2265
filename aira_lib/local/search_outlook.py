"""What a search will take, before it starts: nodes, time, money, and where its results go. Nothing is measured."""

import math

from rich.console import Console

from aira_lib.agents.providers import provider_of
from aira_lib.console import duration
from aira_lib.flow.stage import Unit
from aira_lib.flow.units import search_units
from aira_lib.local.run import LocalRun, outlook_of_searches
from aira_lib.records import PAGE
from aira_lib.store import open_store, place_of
from aira_lib.study import AgentSection
from aira_lib.tasks.section import family_of
from aira_lib.watch.searches import Lookout

# Tokens of one call, assumed: a prompt with task, data overview and memory, and a reply with a plan and a program.
PROMPT_TOKENS, REPLY_TOKENS = 3_000, 1_500


def show_outlook(console: Console, run: LocalRun) -> None:
    """Print what would run, for how long, at what cost, and where records and pages would be."""
    study, store = run.study, open_store(run.settings.store)
    searches = Lookout(study, run.settings).look()
    begun = sum(bool(each.nodes) and not each.finished for each in searches)
    lines = [f"Task: {family_of(study.task).in_words(study.task)}"]
    lines += [f"Agent: {_agent_line(agent)}" for agent in study.agents]
    lines.append(f"Time: {_time_line(run)}")
    lines += [f"Cost: {_cost_line(agent)}" for agent in study.agents]
    lines.append(
        f"State: {sum(each.finished for each in searches)} of {len(searches)} searches are finished, {begun} begun"
    )
    lines.append(f"Records: {place_of(store.uri)}/{study.name}/search/")
    lines.append(f"Pages: {page_place(run, search_units(study)[0])} and so on, one a search")
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def page_place(run: LocalRun, unit: Unit) -> str:
    """Where a search's page is."""
    return open_store(run.settings.store).shown(f"{unit.folder(run.study)}/{PAGE}")


def _agent_line(agent: AgentSection) -> str:
    seeds = f"{len(agent.seeds)} seed{'s' * (len(agent.seeds) > 1)}"
    return f"{agent.name} ({agent.scaffold}, {agent.model}): {seeds} of {agent.steps} steps or {agent.hours:g} h"


def _time_line(run: LocalRun) -> str:
    searches = sum(len(agent.seeds) for agent in run.study.agents)
    at_once, threads = min(run.workers, searches), run.settings.threads
    bound = max(agent.hours for agent in run.study.agents) * 3600 * math.ceil(searches / at_once)
    how = f"{at_once} at once, {threads} thread{'s' * (threads > 1)} each"
    outlook = outlook_of_searches(run)
    if outlook is None:
        return f"at most {duration(bound)}, {how}"
    about = duration(min(outlook.seconds_left([]), bound))
    by = (
        "by what this machine took before"
        if outlook.rates.of("search")
        else "besides the model's replies (estimated, not measured)"
    )
    return f"about {about} {by}, at most {duration(bound)}; {how}"


def _cost_line(agent: AgentSection) -> str:
    provider = provider_of(agent.model)
    if not provider.over_network:
        return f"nothing ({agent.model} asks no provider)"
    calls = len(agent.seeds) * agent.steps
    tokens = f"{calls * (PROMPT_TOKENS + REPLY_TOKENS) / 1e6:,.2f}M tokens in {calls:,} calls (sizes assumed)"
    known = _dollars_a_call(provider.price(agent.model))
    said = f"about ${calls * known:,.2f}, {tokens}" if known is not None else f"price unknown, about {tokens}"
    limits = [f"${agent.max_dollars * len(agent.seeds):,.2f} by --max-dollars"] if agent.max_dollars else []
    if agent.max_tokens_total:
        limits.append(f"{agent.max_tokens_total * len(agent.seeds):,} tokens by --max-tokens")
    return f"{said}; {'at most ' + ', '.join(limits) if limits else 'no limit is set (--max-dollars, --max-tokens)'}"


def _dollars_a_call(price: tuple[float, float] | None) -> float | None:
    return None if price is None else PROMPT_TOKENS * price[0] + REPLY_TOKENS * price[1]
