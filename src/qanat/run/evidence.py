"""What is known of the older rows of a dataset, for the rules that suggest checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from qanat.declare.check.recognised import parts_of
from qanat.declare.check.value import Check
from qanat.errors import QanatError, TableNotFoundError
from qanat.model.dialect import DUCKDB
from qanat.model.expectation import Tolerance
from qanat.model.name import same
from qanat.model.pipeline import Dataset
from qanat.model.profile import Profiled
from qanat.model.record import Epoch
from qanat.model.schema import Schema
from qanat.model.suggestion import Candidate
from qanat.model.work import Batch
from qanat.planning.graph import closure
from qanat.quality.suggestions.evidence import FEW, Evidence, Target, moment, whole
from qanat.quality.suggestions.moments import parsed
from qanat.quality.suggestions.references import fitting
from qanat.run.held_out import Parted
from qanat.run.query import query
from qanat.run.session import Session
from qanat.run.stored import Stored, stored
from qanat.text import quote

_LARGEST = 256_000_000
"""Bytes of a table up to which it is looked at whether its columns are keys."""


class Gatherer:
    """Gathers what is known of one dataset after the other.

    Args:
        refers: by dataset, those that it refers to by checks that were suggested before: two
            datasets cannot refer to each other.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.refers: dict[str, list[str]] = {}
        self._keys: dict[tuple[str, str], Target | None] = {}

    def evidence(self, dataset: Dataset, parts: Parted) -> Evidence:
        """All that is known of the older rows of a dataset."""
        profiled = _still_there(self._session.engine.profile(parts.older), parts.schema)
        epochs = parts.older_epochs
        known = [_rows(e) for e in (*parts.held_out, *epochs)]
        typical = round(median(known)) if parts.held_out else profiled.rows
        ended = max((e.ended or e.started for e in epochs), default=0.0)
        return Evidence(
            profiled=profiled,
            typical=typical,
            ended=ended,
            values=dict(self._values(parts.older, profiled)),
            keys=self._keys_of(dataset),
            not_null=tuple(f.name for f in parts.schema.fields if not f.nullable),
            targets=tuple(self._targets(dataset, profiled)),
            volumes=tuple(_rows(e) for e in reversed(epochs)) if parts.held_out else (),
            lags=self._lags(dataset, profiled, epochs) if parts.held_out else {},
            appends=not any(e.replaces for e in epochs),
            known=tuple(c for e in dataset.expectations for c in map(_said, parts_of(e))),
        )

    def _keys_of(self, dataset: Dataset) -> tuple[str, ...]:
        """The columns that the rows of a dataset are kept by; empty if its rows are only added."""
        flows = self._session.pipeline.flows
        changes = [f.changes for f in flows if same(f.target, dataset.name) and f.changes]
        return next((c.identifies for c in changes if c.identifies), dataset.keys)

    def _values(
        self, older: Batch, profiled: Profiled
    ) -> Iterator[tuple[str, tuple[tuple[Any, int], ...]]]:
        """The values of columns that have few."""
        for column in profiled.columns:
            if (column.texts is None and not whole(column)) or not 1 < column.distinct <= FEW:
                continue
            name = quote(column.name)
            found = self._asked(
                f"SELECT {name}, count(*) AS __rows FROM __older WHERE {name} IS NOT NULL"
                f" GROUP BY {name} ORDER BY __rows DESC, {name} LIMIT {FEW + 1}",
                {"__older": older},
            )
            if len(found) <= FEW:
                yield column.name, tuple((value, rows) for value, rows in found)

    def _asked(self, sql: str, batches: Mapping[str, Batch]) -> list[tuple[Any, ...]]:
        with query(self._session, sql, beside=batches, dialect=DUCKDB.name) as reading:
            return [row for chunk in reading.chunks() for row in chunk]

    # -- other datasets -------------------------------------------------------------------------

    def _targets(self, dataset: Dataset, profiled: Profiled) -> Iterator[Target]:
        """Keys of other datasets that columns may refer to, by their names."""
        session = self._session
        for other in session.pipeline.datasets:
            if not other.stored or other.name == dataset.name:
                continue
            # A check reads what it refers to, so that has to be computed before.
            reached = closure(other.name, session.graph.reads, self.refers)
            if dataset.name in reached:
                continue
            try:
                there = stored(session, other.name)
            except TableNotFoundError:
                continue
            made_of = other.name in session.graph.upstream(dataset.name)
            keyed = bool(self._keys_of(other))
            for key in there.snapshot.schema.names:
                fits = [c for c in profiled.columns if fitting(c.name, other.name, key)]
                # Rows that come from there one by one have the keys that are there.
                if made_of and all("all distinct" in c.hints for c in fits):
                    continue
                if not fits or (target := self._key(there, key)) is None:
                    continue
                if keyed or not self._grouped(other, key):
                    yield target

    def _grouped(self, dataset: Dataset, key: str) -> bool:
        """True if a key is one because rows were put together by it: that lists no things."""
        for name in self._session.graph.upstream(dataset.name):
            try:
                there = stored(self._session, name)
            except QanatError:
                continue
            found = there.snapshot.schema.get(key)
            if found is not None and self._key(there, found.name) is None:
                return True
        return False

    def _key(self, there: Stored, key: str) -> Target | None:
        """A column of another dataset, if no two rows share a value."""
        at = (there.name, key)
        if at not in self._keys:
            self._keys[at] = self._found(there, key)
        return self._keys[at]

    def _found(self, there: Stored, key: str) -> Target | None:
        if there.snapshot.bytes > _LARGEST:
            return None
        field = next(f for f in there.snapshot.schema.fields if f.name == key)
        if str(field.type) not in ("bigint", "int", "smallint", "string"):
            return None
        name = quote(key)
        ((rows, filled, distinct, low, high),) = self._asked(
            f"SELECT count(*), count({name}), count(DISTINCT {name}), min({name}), max({name})"
            " FROM __there",
            {"__there": there.snapshot.batch},
        )
        if not rows or not rows == filled == distinct:
            return None
        return Target(there.name, key, str(field.type), rows, low, high)

    # -- the history ----------------------------------------------------------------------------

    def _lags(
        self, dataset: Dataset, profiled: Profiled, epochs: Sequence[Epoch]
    ) -> dict[str, tuple[float, ...]]:
        """How old the newest value of each column of times was when updates ended."""
        updates = {e.update for e in epochs}
        history = [m for m in self._session.recorded.metrics(dataset.name) if m.update in updates]
        found: dict[str, tuple[float, ...]] = {}
        for column in profiled.columns:
            if moment(column):
                lags = [_lag(m.columns[column.name].high, m.ended) for m in history
                        if column.name in m.columns]  # fmt: skip
                if lags and all(lag is not None for lag in lags):
                    found[column.name] = tuple(lag for lag in lags if lag is not None)
        return found


def _still_there(profiled: Profiled, schema: Schema) -> Profiled:
    """What is known of the columns that the table still has, with the same types."""
    types = {f.name: str(f.type) for f in schema.fields}
    columns = tuple(c for c in profiled.columns if types.get(c.name) == c.type)
    names = {c.name for c in columns}
    keys = tuple(k for k in profiled.keys if names.issuperset(k.columns))
    return replace(profiled, columns=columns, keys=keys)


def _lag(high: object, ended: float) -> float | None:
    newest = parsed(high)
    return None if newest is None else max(0.0, ended - newest.timestamp())


def _rows(epoch: Epoch) -> int:
    return epoch.counts.written if epoch.counts else 0


def _said(check: Check) -> Candidate:
    """A declared check, as rules compare theirs with it."""
    tolerant = check.get("tolerate") is not None
    return Candidate(
        check.kind,
        check.arguments,
        tolerance=Tolerance(rows=1) if tolerant or check.get("where") else None,
        passes=check.get("nulls") == "pass",
    )
