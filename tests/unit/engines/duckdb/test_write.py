"""Files of a table as DuckDB writes them: partitioned ones have their rows in order."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from qanat.engines.duckdb.write import write
from qanat.model.schema import Field, Primitive, Schema
from qanat.model.work import Output

SCHEMA = Schema((Field("n", Primitive("long")), Field("p", Primitive("long"))))


@pytest.mark.parametrize("kept", ["true", "false"])
def test_partitions_keep_the_order_of_rows(tmp_path: Path, kept: str) -> None:
    """Enough rows for several threads, which mix them up when left alone."""
    source = tmp_path / "rows.parquet"
    output = Output(tmp_path / "table", "part", partition_by=("p",))
    with duckdb.connect() as con:
        con.execute("SET threads = 4")
        con.execute(f"SET preserve_insertion_order = {kept}")
        con.execute(
            f"COPY (SELECT range AS n, range % 3 AS p FROM range(600_000) ORDER BY n) "
            f"TO '{source}' (FORMAT parquet, ROW_GROUP_SIZE 20_480)"
        )
        staged = write(con, f"SELECT n, p FROM read_parquet('{source}')", SCHEMA, output)
        paths = [f.path for f in staged.files]
        assert paths == sorted(paths)
        assert sum(f.rows for f in staged.files) == 600_000
        for path in paths:
            [(mixed,)] = con.execute(
                "SELECT count(*) FROM (SELECT n < lag(n) OVER (ORDER BY file_row_number) AS back "
                f"FROM read_parquet('{output.folder / path}', file_row_number = true)) WHERE back"
            ).fetchall()
            assert mixed == 0
