"""Search: agents arrange primitives; the finds are archived and aggregated."""
