"""One page for a whole search: what was tried, from what, and how it scored."""

from aira_lib.search.page.live import LivePage
from aira_lib.search.page.page import render_run

__all__ = ["LivePage", "render_run"]
