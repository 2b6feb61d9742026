"""Many processes that update one project at the same time; see `run`."""
