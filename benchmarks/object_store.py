"""Tables in an object store beside tables in a folder: small epochs, and 6 M rows.

The store is moto's S3 server on this machine, in a process of its own that is not counted. An
epoch is one file of 1,000 rows into one streaming table of an opened project; its requests are
counted by a relay in front of the server, in a pass of its own.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

from figure import Against, Figure
from lineitem import lay_out
from measure import Cost, medians, spend
from place import QANAT, scratch, tpch

from qanat.testing.object_store import ObjectStore, object_store

EPOCHS = 20

SQL = """
CREATE STREAMING TABLE bronze (CONSTRAINT known EXPECT (id >= 0) ON VIOLATION QUARANTINE ROW)
AS SELECT * FROM STREAM read_files('in/*.csv', format => 'csv', header => true);
"""


def small(folder: Path, storage: str, server: ObjectStore, counted: bool = False) -> Cost:
    """Twenty epochs; `output` has the median of their milliseconds, or of their requests."""
    (folder / "transformations").mkdir(parents=True, exist_ok=True)
    (folder / "in").mkdir(exist_ok=True)
    for old in (folder / "in").iterdir():
        old.unlink()
    (folder / "qanat.yml").write_text(f"name: small\nstorage: {storage}\n", encoding="utf-8")
    (folder / "transformations" / "bronze.sql").write_text(SQL, encoding="utf-8")
    script = Path(__file__).with_name("object_store_epochs.py")
    command = [sys.executable, str(script), str(folder), str(EPOCHS)]
    command += ["--requests"] if counted else []
    return spend(command, folder, env=server.environment)


def large(folder: Path, storage: str, data: Path, server: ObjectStore) -> Cost:
    """The three tables of lineitem, from one update of a fresh project."""
    project = lay_out(folder, data, rules=False, keys=False)
    spec = project / "qanat.yml"
    text = spec.read_text(encoding="utf-8").replace("storage: storage", f"storage: {storage}")
    spec.write_text(text, encoding="utf-8")
    return spend([*QANAT, "run"], project, env=server.environment)


def measure() -> list[Figure]:
    """Milliseconds and requests of an epoch; CPU and memory of 6 M rows, against a folder."""
    data = tpch(1)
    with scratch("object-store") as folder, object_store() as server:
        server.create_bucket("lake")
        there = partial(small, folder / "there", server=server)
        here = partial(small, folder / "here", server=server)
        times: dict[str, list[float]] = {"there": [], "here": []}
        for repeat in range(4):
            far = float(there(storage=f"s3://lake/small-{repeat}").output)
            near = float(here(storage=f"storage-{repeat}").output)
            if repeat:
                times["there"].append(far)
                times["here"].append(near)
        asked = float(there(storage="s3://lake/counted", counted=True).output)
        far_cost, near_cost = medians(
            3,
            lambda n: large(folder / "large", f"s3://lake/large-{n}", data, server),
            lambda _: large(folder / "large-here", "storage", data, server),
        )
    far, near = (sorted(times[k])[1] for k in ("there", "here"))
    base = "in a folder"
    return [
        Figure("object_store: epoch of 1,000 rows", far, base, near, "ms", Against.VALUE, 150),
        Figure("object_store: its requests", asked, "none", 0, "requests", Against.VALUE, 8),
        Figure(
            "object_store: lineitem, CPU",
            far_cost.cpu,
            base,
            near_cost.cpu,
            "s",
            Against.RATIO,
            1.3,
        ),
        Figure(
            "object_store: lineitem, peak memory",
            far_cost.peak / 1e6,
            base,
            near_cost.peak / 1e6,
            "MB",
            Against.RATIO,
            1.2,
        ),
    ]


if __name__ == "__main__":
    print(json.dumps([figure.document() for figure in measure()], indent=2))
