"""Spark's SQL in DuckDB's words: proven equal name by name, or refused."""
