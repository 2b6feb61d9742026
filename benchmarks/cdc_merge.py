"""100,000 changes merged into 10 M keys in 200 files, against the merge of deltalake.

The table is kept by AUTO CDC (SCD type 1); its 200 files hold 50,000 neighbouring keys each. Both
sides get the same table and the same changes, a twentieth of them deletions, in a fresh process:
once spread over all keys, so that every file has to be written again, and once over the keys of
four files. Both also write what Delta's readers of changes are told.
"""

from __future__ import annotations

import json
import shutil
import sys
from functools import partial
from pathlib import Path

from figure import Against, Figure
from lineitem import WrongRowsError
from measure import Cost, baseline, medians, spend
from place import CORES, QANAT, cache, scratch

KEYS, FILES, CHANGES = 10_000_000, 200, 100_000
SPREADS = {"spread": (0, KEYS), "clustered": (KEYS // 2, KEYS // FILES * 4)}
"""By name, the first of the keys that change, and how many from there on."""

_DATA = """
import duckdb, sys
from pathlib import Path
folder, keys, files = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
(folder / "in").mkdir(parents=True)
(folder / "changes").mkdir()
each = keys // files
row = ("'customer number ' || k AS name, (hash(k) % 1000000 / 100)::DECIMAL(12, 2) AS amount, "
       "(hash(k + 1) % 100)::INT AS region")
for n in range(files):
    duckdb.execute(f"COPY (SELECT k AS id, {row}, 1::BIGINT AS seq, 'I' AS op "
                   f"FROM range({n * each}, {(n + 1) * each}) AS t(k)) "
                   f"TO '{folder}/in/{n:04d}.parquet'")
for name, first, many, changes in eval(sys.argv[4]):
    key = f"({first} + hash(i) % {many})::BIGINT"
    some = f"SELECT DISTINCT {key} AS k FROM range({changes}) AS t(i)"
    duckdb.execute(f"COPY (SELECT k AS id, 'changed ' || k AS name, "
                   f"1.25::DECIMAL(12, 2) AS amount, 7::INT AS region, 2::BIGINT AS seq, "
                   f"CASE WHEN k % 20 = 0 THEN 'D' ELSE 'U' END AS op FROM ({some})) "
                   f"TO '{folder}/changes/{name}.parquet'")
"""
_PEER = """
import sys
import pyarrow.parquet as pq
from deltalake import DeltaTable
table, changes = sys.argv[1:]
values = {c: f"s.{c}" for c in ("name", "amount", "region", "seq")}
merge = DeltaTable(table).merge(
    pq.read_table(changes), "t.id = s.id", source_alias="s", target_alias="t"
)
merge = merge.when_matched_delete("s.op = 'D' AND s.seq > t.seq")
merge = merge.when_matched_update(values, "s.op <> 'D' AND s.seq > t.seq")
merge.when_not_matched_insert({"id": "s.id", **values}, "s.op <> 'D'").execute()
"""
_SQL = """
CREATE STREAMING TABLE t;
CREATE FLOW f AS AUTO CDC INTO t
FROM STREAM read_files('in/*.parquet', max_files_per_trigger => 1)
KEYS (id) APPLY AS DELETE WHEN op = 'D' SEQUENCE BY seq {kept};
"""
SCD_1 = "COLUMNS * EXCEPT (op)"
SCD_2 = "COLUMNS * EXCEPT (op, seq) STORED AS SCD TYPE 2"


def project(name: str = "cdc_merge", kept: str = SCD_1) -> Path:
    """A project with the table, made once."""
    folder = cache() / name
    if not (folder / "made").exists():
        shutil.rmtree(folder, ignore_errors=True)
        spreads = [(name, first, many, CHANGES) for name, (first, many) in SPREADS.items()]
        spend([sys.executable, "-c", _DATA, folder, str(KEYS), str(FILES), repr(spreads)], cache())
        (folder / "t.sql").write_text(_SQL.format(kept=kept), encoding="utf-8")
        spec = f"name: merge\nstorage: storage\nthreads: {CORES}\nlibraries: ['*.sql']\n"
        spec += "configuration:\n  delta.autoOptimize.autoCompact: 'false'\n"
        (folder / "qanat.yml").write_text(spec, encoding="utf-8")
        spend([*QANAT, "run", "--output", "json"], folder)
        (folder / "made").touch()
    return folder


def merge(made: Path, folder: Path, changes: str, _: int) -> Cost:
    """The cost of an update that merges.

    Raises:
        WrongRowsError: other rows have changed than should.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(made, folder)
    shutil.copy(made / "changes" / f"{changes}.parquet", folder / "in" / "zz.parquet")
    cost = spend([*QANAT, "run", "--output", "json"], folder)
    [dataset] = json.loads(cost.output)["datasets"]
    if dataset["written"] != dataset["updated"] + dataset["deleted"]:
        raise WrongRowsError(f"{dataset['written']} taken, {dataset['updated']} updated")
    return cost


def peer(made: Path, folder: Path, changes: str, _: int) -> Cost:
    """The cost of the same merge by deltalake."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(made / "storage" / "tables" / "t", folder)
    file = made / "changes" / f"{changes}.parquet"
    return spend([sys.executable, "-c", _PEER, folder, file], cache())


def measure() -> list[Figure]:
    """CPU at most half of deltalake's, at most 1 GB; clustered at most half of spread."""
    made, found = project(), {}
    with scratch("cdc_merge") as folder:
        for name in SPREADS:
            found[name] = medians(
                3,
                partial(merge, made, folder / "qanat", name),
                baseline(partial(peer, made, folder / "peer", name)),
            )
    ratio = Against.RATIO
    figures = [
        Figure(
            f"cdc_merge: {name}, CPU", own.cpu, "deltalake", theirs.cpu, "s", Against.RATIO, 0.5
        )
        for name, (own, theirs) in found.items()
    ]
    (own, theirs), (near, _) = found["spread"], found["clustered"]
    return [
        *figures,
        Figure("cdc_merge: clustered, CPU", near.cpu, "spread", own.cpu, "s", ratio, 0.5),
        Figure(
            "cdc_merge: peak memory", own.peak / 1e6, "deltalake", theirs.peak / 1e6, "MB",
            Against.VALUE, 1000,
        ),
    ]  # fmt: skip
