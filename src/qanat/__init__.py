"""Qanat: declare a data pipeline once, in SQL or Python, and trust what comes out."""

__version__ = "0.1.0"
