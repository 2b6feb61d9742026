"""Checks of expectations that need no rows: `expectations` finds columns that do not exist."""

from qanat.quality.expectations import check_expectations

__all__ = ["check_expectations"]
