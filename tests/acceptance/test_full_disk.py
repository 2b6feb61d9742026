"""A disk that fills up during an update, simulated by a limit on the size of files."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.projects import Shop

ROWS = 200_000
SQL = (
    "CREATE STREAMING TABLE orders (CONSTRAINT large EXPECT (amount > 500000)"
    " ON VIOLATION QUARANTINE ROW) AS SELECT * FROM STREAM read_files('data/*.csv');"
    "CREATE MATERIALIZED VIEW sorted AS SELECT * FROM orders ORDER BY amount;"
)


def qanat(folder: Path, limit: int) -> tuple[int, dict[str, Any]]:
    """Run an update in a process of its own that can write files of `limit` bytes at most."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    done = subprocess.run(
        [sys.executable, "-m", "qanat", "run", "--output", "json"],
        cwd=folder,
        env=os.environ | {"QANAT__THREADS": "1"},
        preexec_fn=limited,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


# With these limits, in this order, the ledger, scratch files or the staged table do not fit.
@pytest.mark.parametrize("kilobytes", [40, 256, 1500])
def test_nothing_is_half_written(tmp_path: Path, kilobytes: int) -> None:
    shop = Shop(tmp_path)
    amounts = [n * 7919 % 1_000_003 for n in range(ROWS)]
    lines = (f"{n},{amount}" for n, amount in enumerate(amounts))
    shop.file("data/a.csv", "\n".join(["id,amount", *lines, ""]))
    shop.sql(SQL)
    code, document = qanat(tmp_path, kilobytes * 1024)
    assert code == 1
    errors = [document.get("error"), *(d["error"] for d in document.get("datasets", ()))]
    codes = {e["code"] for e in errors if e}
    assert codes <= {"Q4007", "Q4012"}
    assert codes
    assert not list(tmp_path.rglob("storage/tables/**/*.parquet"))
    shop.run()
    large = sum(amount > 500_000 for amount in amounts)
    assert shop.count("orders") == shop.count("sorted") == large
    assert shop.count("orders__quarantine") == ROWS - large
