"""Keeps pytest from importing `generate_facts.py`, which needs pyspark."""

collect_ignore = ["generate_facts.py"]
