"""ORC, which DuckDB does not read: converted to Parquet by PyArrow, stripe by stripe."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from pyarrow import orc, parquet


def to_parquet(source: Path, target: Path) -> None:
    """Write the rows of an ORC file as Parquet, holding one stripe in memory.

    Raises:
        OSError, ValueError: the file is no ORC, or is damaged (PyArrow raises either).
    """
    file = orc.ORCFile(str(source))
    # Tables hold microseconds; ORC's nanoseconds would only be cut off later.
    with parquet.ParquetWriter(
        target,
        file.schema,
        compression="lz4",
        coerce_timestamps="us",
        allow_truncated_timestamps=True,
    ) as writer:
        for stripe in range(file.nstripes):
            writer.write_table(pa.Table.from_batches([file.read_stripe(stripe)], file.schema))
