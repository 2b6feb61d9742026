"""The drivers, which come with an extra."""

from __future__ import annotations

from qanat.errors import needing

with needing("PostgreSQL", "postgres"):
    import adbc_driver_manager
    import psycopg
    import pyarrow as pa
    from adbc_driver_postgresql import dbapi
    from psycopg.conninfo import conninfo_to_dict
    from psycopg.errors import LockNotAvailable
    from pyarrow import compute, ipc, parquet

__all__ = [
    "LockNotAvailable",
    "adbc_driver_manager",
    "compute",
    "conninfo_to_dict",
    "dbapi",
    "ipc",
    "pa",
    "parquet",
    "psycopg",
]
