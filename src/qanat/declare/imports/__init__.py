"""Checks of other tools as checks of Qanat; what cannot be carried over is named, with its place.

`found` is what an import gives, and chooses the reader by what a file looks like; `reading` is
what the readers share: `dbt` (tests of `schema.yml`, also those of dbt_utils and
dbt_expectations), `gx` (suites of Great Expectations as JSON; `filtered` reads their conditions of
rows), `soda` (SodaCL, and contracts of Soda), `pandera` (schemas as YAML or JSON).
"""
