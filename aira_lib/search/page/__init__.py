"""The page of one search: its tree, fitness over steps, and each node's plan, code, scores, reasons and prompts."""

from aira_lib.search.page.exchanges import Exchanges
from aira_lib.search.page.live import LivePage
from aira_lib.search.page.page import agent_settings, render_run, with_report

__all__ = ["Exchanges", "LivePage", "agent_settings", "render_run", "with_report"]
