"""Compose: agents arrange primitives; the finds are aggregated, scaled, pretrained and compared."""
