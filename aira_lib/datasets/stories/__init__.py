"""Short stories by a grammar, a stand-in for BabiStories: who has what, who wants what, what a broken promise costs."""

from aira_lib.datasets.stories.telling import STAND_IN, stories, story_stream

__all__ = ["STAND_IN", "stories", "story_stream"]
