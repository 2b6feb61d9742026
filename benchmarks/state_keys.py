"""Epochs of 1,000 rows into a state of 10 M keys: CPU of an epoch, and peak memory.

The baseline is the same epochs into a state of 1,000 keys, in turns: what a large state costs.

    python benchmarks/state_keys.py            10 M keys
    python benchmarks/state_keys.py 1000000    1 M
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median

import duckdb
from figure import Against, Figure
from measure import spend
from place import PYTHON, scratch

KEYS, ROWS, EPOCHS, WARM = 10_000_000, 1_000, 60, 10
_SPEC = "name: state\nstorage: storage\nthreads: 1\nmemory_limit: 500MB\n"
# The first file has all keys; the others touch some of them, and close no window.
_SQL = """\
CREATE STREAMING TABLE hours TBLPROPERTIES ('qanat.idle_timeout' = 'never') AS
SELECT window.start AS start, k, sum(x) AS total
FROM STREAM read_files('data/*.parquet', maxFilesPerTrigger => 1)
WATERMARK ts DELAY OF INTERVAL 1 HOUR GROUP BY window(ts, '1 hour'), k;
"""
_RUN = """
import json, resource, time, qanat
from qanat.run import dataset

epochs, run_epoch = [], dataset.run_epoch

def timed(*args, **kwargs):
    began = time.process_time()
    try:
        return run_epoch(*args, **kwargs)
    finally:
        epochs.append(time.process_time() - began)

dataset.run_epoch = timed
qanat.open(".").run()
print(json.dumps([epochs, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))
"""


def lay_out(folder: Path, keys: int) -> Path:
    """A project whose first file has all keys, and the others 1,000 rows each."""
    (folder / "transformations").mkdir(parents=True)
    (folder / "data").mkdir()
    (folder / "transformations" / "hours.sql").write_text(_SQL, encoding="utf-8")
    (folder / "qanat.yml").write_text(_SPEC, encoding="utf-8")
    con = duckdb.connect()
    for number in range(EPOCHS + 1):
        rows, key = (
            (keys, "range") if number == 0 else (ROWS, f"hash(range + {number * ROWS}) % {keys}")
        )
        con.execute(
            f"COPY (SELECT ({key})::BIGINT AS k, range AS x, TIMESTAMP '2026-01-01 00:00' "
            f"+ to_seconds({number}) AS ts FROM range({rows})) "
            f"TO '{folder}/data/{number:04}.parquet' (FORMAT parquet)"
        )
    return folder


def one(folder: Path, keys: int) -> tuple[float, float]:
    """Median CPU of an epoch in ms, and the peak memory in MB, of one update."""
    done = spend([PYTHON, "-c", _RUN], lay_out(folder, keys))
    epochs, peak = json.loads(done.output.splitlines()[-1])
    # The first epochs read all keys, and build the cache.
    return median(epochs[WARM:]) * 1000, peak / 1e6


def measure(keys: int = KEYS) -> list[Figure]:
    """What a large state costs an epoch more than a small one, and how much memory it takes."""
    with scratch("state-keys") as folder:
        small, least = one(folder / "small", ROWS)
        large, peak = one(folder / "large", keys)
    few = "1,000 keys"
    name = f"state_keys: {keys // 1_000_000} M keys"
    return [
        Figure(f"{name}, CPU of an epoch", large, few, small, "ms", Against.DIFFERENCE, 30),
        Figure(f"{name}, memory", peak, few, least, "MB", Against.VALUE, 1000),
    ]


if __name__ == "__main__":
    for figure in measure(int(sys.argv[1]) if len(sys.argv) > 1 else KEYS):
        print(figure.document())
