"""Archive: the journals of many agents and seeds become one table of distinct evaluated designs."""
