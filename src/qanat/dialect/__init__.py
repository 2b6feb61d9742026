"""One dialect of SQL as another, with the same meaning or not at all."""

from qanat.dialect.transpile import predicate, to_engine, unsupported

__all__ = ["predicate", "to_engine", "unsupported"]
