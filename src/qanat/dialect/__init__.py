"""Translation of queries and rules between SQL dialects: with the same meaning, or refused.

`transpile` has the functions that other packages call; `original` finds the place in the author's
text that a refusal is about; `spark` translates Spark's SQL.
"""

from qanat.dialect.transpile import (
    check_to_engine,
    has_function,
    predicate,
    to_engine,
    unsupported,
)

__all__ = ["check_to_engine", "has_function", "predicate", "to_engine", "unsupported"]
