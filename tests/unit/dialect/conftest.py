"""The script that asks a real Spark needs pyspark, which is not among the test dependencies."""

collect_ignore = ["generate_facts.py"]
