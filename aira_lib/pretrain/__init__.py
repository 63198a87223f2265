"""Pretrain: language models at equal tokens and at equal FLOPs."""
