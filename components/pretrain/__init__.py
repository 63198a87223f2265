"""Pretrain: one design, one budget, one seed."""

from components.pretrain.component import pretrain

__all__ = ["pretrain"]
