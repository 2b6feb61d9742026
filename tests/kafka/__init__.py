"""The crash test of Kafka: a source, a table and a sink, with a real broker (`run`).

Read `project` (what is run), `faults` (what happens to it), `trial` (one case), `run`.
"""
