"""How data comes in and goes out: one package for each outside system.

Today `files`, `postgres` and `tables` (Delta tables, of this project and others)."""
