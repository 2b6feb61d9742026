"""One dialect of SQL as another, with the same meaning or not at all.

`transpile` is what others call; `place` finds in the author's text what a translation stumbles
over; `spark` knows Spark's SQL.
"""

from qanat.dialect.transpile import predicate, to_engine, unsupported

__all__ = ["predicate", "to_engine", "unsupported"]
