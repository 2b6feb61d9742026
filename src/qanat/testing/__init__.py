"""Real services for tests, each started for one test run; nothing of Qanat imports this.

`postgresql` is a database server, `object_store` an S3 server; `reading` has what a connector
needs to be tried without a project.
"""
