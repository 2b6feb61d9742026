"""Spark's data frames in project files: `spark`, and what becomes SQL of it.

A file finds `spark` without importing it (`session`). Its readers (`reader`) make table functions
of formats and options, and give a `Frame` (`frame`), which has Spark's methods and writes the SQL
that the rest of Qanat reads. No column of a dataset is known when a file runs, so a frame never
asks for columns: `selected` is the SELECT that its steps make, `items` what that lists, also with
a star that may hold anything, `joined` puts two together, and `terms` makes SQL of what methods
take. Columns such as `F.col("x") > 1` are those of sqlframe, which `standin` lets files import
from `pyspark.sql`.

Importing `frame` imports sqlglot, which an update of files without `spark` does not need.
"""
