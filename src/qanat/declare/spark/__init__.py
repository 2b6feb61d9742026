"""Spark's data frames in project files: `spark`, and what becomes SQL of it.

A file finds `spark` without importing it (`session`); its readers give a `Frame` (`frame`), which
writes the SQL that the rest of Qanat reads. No column of a dataset is known when a file runs, so a
frame never asks for columns: `items` has what a SELECT lists, also of a star that may hold
anything, and `terms` makes SQL of the columns that PySpark's users write. `reader` makes table
functions of formats and options. Columns such as `F.col("x") > 1` are those of sqlframe, which
`standin` lets files import as `pyspark.sql.functions`.

Importing `frame` imports sqlglot, which an update of files without `spark` does not need.
"""
