"""The same project by `qanat run` and by real orchestrators, each in an environment of its own.

`project` has the project and what all must agree on, `environments` installs an orchestrator once,
`site` starts its servers, and `airflow`, `dagster`, `prefect` and `luigi` run one
project each. `overhead` measures what a task costs.
"""
