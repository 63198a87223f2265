"""A job as plain data, and what starts it: on this machine by torchrun, elsewhere by a launcher of another kind."""
