"""What can be known about expectations without any rows: whether their `columns` are there."""

from qanat.quality.columns import check_expectations

__all__ = ["check_expectations"]
