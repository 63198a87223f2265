"""Fan out: have a loop's units made by runs of their own."""

from components.fan_out.component import fan_out

__all__ = ["fan_out"]
