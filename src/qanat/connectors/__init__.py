"""How data comes in and goes out: one package for each outside system, today `files`."""
