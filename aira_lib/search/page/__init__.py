"""The page of one search: its tree of nodes, fitness over steps, and each node's plan, code, scores and reasons."""

from aira_lib.search.page.live import LivePage
from aira_lib.search.page.page import agent_settings, render_run, with_report

__all__ = ["LivePage", "agent_settings", "render_run", "with_report"]
