"""What a table holds after snapshots, said with a dict; and histories to try it with."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa

from qanat.engines.duckdb.engine import DuckDBEngine
from qanat.model.changes import ScdType
from qanat.model.chosen import EVERY, Chosen
from qanat.model.expectation import Action, Expectation
from qanat.model.rule import Predicate
from qanat.model.snapshots import Snapshots, Version
from qanat.model.staged import Counts, Staged
from tests.changes.model import VALUES, Row
from tests.changes.table import COLUMNS, HERE, Files, nothing

_COLUMNS = pa.schema([COLUMNS.field(n) for n in ("id", "site", "a", "b")])
BAD, DROPPED = 9, 8
"""Values of `a` for which a row goes to quarantine, or is left out."""
_FIRST = datetime(2026, 1, 31)  # noqa: DTZ001 - without a zone, as the readers of files give it


@dataclass(frozen=True, slots=True)
class SnapshotCase:
    """A table, and the snapshots that it takes.

    Args:
        two: whether it has a row for each version (SCD type 2).
        tracked: columns whose change makes a version; None: all.
        snapshots: rows of id, site, a, b.
        versions: one for each snapshot.
        crashes: the numbers of snapshots that are staged once more, as after a crash.
    """

    seed: int
    two: bool
    tracked: tuple[str, ...] | None
    snapshots: tuple[tuple[Row, ...], ...] = field(repr=False)
    versions: tuple[Version, ...] = field(repr=False)
    crashes: frozenset[int] = field(repr=False)


def draw_snapshots(seed: int) -> SnapshotCase:
    """A case: few keys that come and go, and values that often stay as they are."""
    chance = random.Random(seed)  # noqa: S311
    two = chance.random() < 0.6
    tracked = chance.choice([None, None, ("a",), ("b",)]) if two else None
    keys = [(n // 2, "ab"[n % 2]) for n in range(chance.randint(1, 7))]
    now: dict[tuple[int, str], Row] = {}
    snapshots = []
    for _ in range(chance.randint(1, 8)):
        for key in keys:
            if chance.random() < 0.5:
                continue
            now.pop(key, None)
            if chance.random() < 0.7:
                a = chance.choice([None, 1, 1, 2, 2, BAD if chance.random() < 0.5 else 3, DROPPED])
                now[key] = (*key, a, chance.choice([None, "x", "y"]))
        rows = list(now.values())
        if chance.random() < 0.15:
            rows.append((None, chance.choice(["a", None]), 1, "x"))
        chance.shuffle(rows)
        snapshots.append(tuple(rows) if chance.random() < 0.93 else ())
    return SnapshotCase(
        seed,
        two,
        tracked,
        tuple(snapshots),
        tuple(_versions(chance, len(snapshots))),
        frozenset(n for n in range(len(snapshots)) if chance.random() < 0.2),
    )


def _versions(chance: random.Random, number: int) -> Iterator[Version]:
    kind, at = chance.choice(["number", "text", "time", "fraction"]), 0
    for _ in range(number):
        at += chance.randint(1, 9)
        given: dict[str, Version] = {
            "number": at,
            "text": f"v{at:04d}",
            "time": _FIRST + timedelta(microseconds=at),
            "fraction": at / 4,
        }
        yield given[kind]


@dataclass(slots=True)
class Model:
    """The rows of a table, by key: each as `[a, b, start, end]`, the newest last."""

    case: SnapshotCase
    rows: dict[tuple[object, object], list[list[object]]] = field(default_factory=dict)

    def take(self, number: int) -> Counts:
        """Take a snapshot; what became of its rows, and of those of the table."""
        version, rows = self.case.versions[number], self.case.snapshots[number]
        unknown = [r for r in rows if r[0] is None or r[1] is None]
        known = {r[:2]: r[2:] for r in rows if r not in unknown}
        bad = [k for k, (a, _) in known.items() if a == BAD]
        dropped = [k for k, (a, _) in known.items() if a == DROPPED]
        kept = {k: v for k, v in known.items() if k not in bad and k not in dropped}
        effects = {"inserted": 0, "updated": 0, "deleted": 0}
        for key, values in kept.items():
            self._put(key, list(values), version, effects)
        for key in [k for k in self.rows if k not in known and not unknown]:
            self._end(key, version, effects)
        return Counts(
            out=len(rows),
            written=len(kept),
            dropped=len(dropped),
            quarantined=len(bad) + len(unknown),
            **effects,
        )

    def _put(
        self,
        key: tuple[object, object],
        values: list[object],
        version: Version,
        effects: dict[str, int],
    ) -> None:
        versions = self.rows.setdefault(key, [])
        last = versions[-1] if versions and versions[-1][3] is None else None
        if last is None:
            versions.append([*values, version, None])
            effects["inserted"] += 1
            return
        if last[:2] == values:
            return
        effects["updated"] += 1
        before = dict(zip(VALUES, last[:2], strict=True))
        now = dict(zip(VALUES, values, strict=True))
        if not self.case.two or all(before[n] == now[n] for n in self.case.tracked or VALUES):
            last[:2] = values
            return
        last[3] = version
        versions.append([*values, version, None])
        effects["inserted"] += 1

    def _end(self, key: tuple[object, object], version: Version, effects: dict[str, int]) -> None:
        versions = self.rows[key]
        if versions[-1][3] is not None:
            return
        if self.case.two:
            versions[-1][3] = version
            effects["updated"] += 1
        else:
            del self.rows[key]
            effects["deleted"] += 1

    @property
    def table(self) -> list[Row]:
        """All rows as a reader sees them, sorted."""
        width = 4 if self.case.two else 2
        found = ((*key, *row[:width]) for key, rows in self.rows.items() for row in rows)
        return sorted(found, key=repr)


def snapshots_differ(case: SnapshotCase, folder: Path, engine: DuckDBEngine) -> str | None:
    """How the table differs from the model after a snapshot; None if it never does."""
    table = Files(folder, engine, case.two, shown=False, partitioned=case.seed % 4 == 0)
    model = Model(case)
    for number in range(len(case.snapshots)):
        table.epoch += 1
        if number in case.crashes:
            _stage(table, case, number)
        staged = _stage(table, case, number)
        table.publish(staged)
        wanted = model.take(number)
        if table.rows() != model.table:
            return f"snapshot {number + 1}: wanted {model.table}, got {table.rows()}"
        if staged.counts != wanted or not staged.counts.balanced:
            return f"snapshot {number + 1}: wanted {wanted}, got {staged.counts}"
        if not wanted.effects and (staged.table.all_files or staged.table.removed):
            return f"snapshot {number + 1} changes nothing, and has written files"
    return None


def _stage(table: Files, case: SnapshotCase, number: int) -> Staged:
    data = pa.Table.from_pylist(
        [dict(zip(_COLUMNS.names, r, strict=True)) for r in case.snapshots[number]],
        schema=_COLUMNS,
    )
    changes = Snapshots(
        ("id", "site"),
        (),
        scd=ScdType.TWO if case.two else ScdType.ONE,
        tracked=EVERY if case.tracked is None else Chosen(case.tracked),
    )
    work = table.work(data, changes)
    assert work.merge is not None
    rules = (
        ("_key", "id IS NOT NULL AND site IS NOT NULL", Action.QUARANTINE),
        ("bad", f"a IS DISTINCT FROM {BAD}", Action.QUARANTINE),
        ("dropped", f"a IS DISTINCT FROM {DROPPED}", Action.DROP),
    )
    expectations = tuple(
        Expectation(name, Predicate(sql, "duckdb"), action, HERE) for name, sql, action in rules
    )
    merge = replace(work.merge, version=case.versions[number])
    return table.engine.stage(replace(work, merge=merge, expectations=expectations), nothing)
