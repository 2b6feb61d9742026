"""A project in other people's orchestrators: Airflow, Prefect, Luigi, Dagster.

`airflow`, `prefect`, `luigi` and `dagster` each build what their orchestrator runs: a task or an
asset for each dataset. `written` writes the same as a file that a team can own. All of them stand
on `manifest` (what a project declares, kept until a file changes), `tasks` (which tasks that
makes), `program` (an update in a process of its own), `events` (what it tells, in the log of the
task) and `outcome` (what became of it).

Nothing here imports what Qanat depends on, so that an orchestrator's environment needs no more
than `pip install --no-deps qanat`; updates run with the Qanat that they are told.
"""
