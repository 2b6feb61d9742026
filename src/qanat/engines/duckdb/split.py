"""Find the rows of a result that break rules.

The result must be re-readable: a relation with a row identifier (`__qanat_rid`) that is the same
each time. A first pass reads only the columns that rules need and remembers the failing rows as
(identifier, bit mask); the passes that write then need no rule at all. Measured against one
plain COPY of 6 M rows with 1 % bad ones this is the cheapest way that counts every row once
(benchmarks/lineitem_rules.py); a temporary table with two COPYs costs twice as much CPU, a
partitioned COPY more.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import duckdb
from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.faults import BY_DATA, explained
from qanat.engines.duckdb.files.bound import RID
from qanat.engines.duckdb.files.widen import as_wider
from qanat.engines.duckdb.glance import Glance, glance
from qanat.engines.duckdb.masks import Masks
from qanat.engines.duckdb.rules import about, among, compile_rule, holds, query_of
from qanat.engines.duckdb.types import columns_of
from qanat.errors import DatasetNotFoundError, InvariantError
from qanat.frozen import Frozen
from qanat.model.expectation import Action, Expectation
from qanat.model.name import Name, fold
from qanat.model.rule import Monotonic, Predicate, References, Unique
from qanat.model.schema import STRING
from qanat.model.staged import RuleCount
from qanat.planning.fit import Column
from qanat.text import literal, quote


class Split(Frozen):
    """Which rows stay.

    Args:
        total: rows of the relation.
        removed: name of a table with the identifiers (and masks) of the rows that do not
            go into the table, or None if all do.
        quarantined, dropped: how many of those go where.
        masks: names of the mask columns in `removed`.
    """

    total: int
    removed: str | None
    quarantined: int
    dropped: int
    rules: tuple[RuleCount, ...]
    masks: tuple[str, ...]

    @property
    def kept(self) -> str:
        """The WHERE clause, if it needs one, of the rows that stay in a relation `r`."""
        if self.removed is None:
            return ""
        return f" WHERE r.{RID} NOT IN (SELECT {RID} FROM {self.removed})"

    @property
    def failed(self) -> bool:
        """True if a rule is violated that lets nothing be published."""
        return any(r.fails for r in self.rules)


class Splitter(Frozen):
    """Splits one relation by the expectations of one dataset.

    Args:
        name: makes the names of temporary tables unique on the connection.
        relation: SELECT text with the table's columns and `__qanat_rid`.
        existing: SELECT text of what the table holds already, for UNIQUE; None if nothing.
        references: SELECT texts by dataset, for REFERENCES.
        place: SQL of a number that tells which row `r` is the first.
        few: whether there are so few rows that planning a statement costs more than a pass over
            them: then one statement looks at all conditions (see `glance`).
    """

    con: DuckDBPyConnection
    name: str
    dataset: str
    relation: str
    expectations: Sequence[Expectation]
    existing: str | None
    references: Mapping[Name, str]
    place: str = f"r.{RID}"
    few: bool = False

    def split(self) -> Split:
        """Find, count and remember the rows that break rules."""
        bad = self._table("bad")
        seen = glance(self.con, self.relation, self.expectations) if self.few else None
        if seen is None:
            total, about = self._counted()
            self._mark_predicates(bad)
        elif all(isinstance(e.rule, Predicate) for e in self.expectations):
            return self._split_of(seen)
        else:
            total, about = seen.total, seen.about
            seen.remember(self.con, bad)
        for index, expectation in enumerate(self.expectations):
            if isinstance(expectation.rule, References):
                self._mark_orphans(bad, index, expectation, expectation.rule)
        # UNIQUE comes last, so that a row that another rule has removed does not claim its key.
        for index, expectation in enumerate(self.expectations):
            if isinstance(expectation.rule, Unique):
                self._mark_duplicates(bad, index, expectation, expectation.rule)
            elif isinstance(expectation.rule, Monotonic):
                self._mark_unordered(bad, index, expectation, expectation.rule)
        removed, quarantined, dropped = self._remove(bad)
        return Split(
            total, removed, quarantined, dropped, self._rule_counts(bad, about), self._masks.names
        )

    # -- the passes ------------------------------------------------------------------------

    def _split_of(self, seen: Glance) -> Split:
        """The split by conditions on single rows, all of which one look has found."""
        removed = self._table("removed")
        quarantined, dropped = seen.remove(self.con, removed)
        counts = zip(self.expectations, seen.violations, seen.about, strict=True)
        return Split(
            seen.total,
            removed if quarantined or dropped else None,
            quarantined,
            dropped,
            tuple(RuleCount.of(self.dataset, e, n, rows) for e, n, rows in counts),
            self._masks.names,
        )

    def _counted(self) -> tuple[int, Sequence[int]]:
        """How many rows there are, and how many each rule is about."""
        filters = dict.fromkeys(filter(None, map(about, self.expectations)))
        columns = ", ".join(("count(*)", *(f"count(*) FILTER ({c})" for c in filters)))
        ((total, *found),) = self.con.execute(
            f"SELECT {columns} FROM ({self.relation}) AS r"
        ).fetchall()
        of = dict(zip(filters, found, strict=True))
        return total, [of.get(about(e), total) for e in self.expectations]

    def _mark_predicates(self, bad: str) -> None:
        """One pass for all conditions; which of them failed is asked of failing rows only."""
        terms: list[list[str]] = [["0"] for _ in self._masks.names]
        conditions = []
        rules: list[tuple[Expectation, str]] = []
        for index, expectation in enumerate(self.expectations):
            if not isinstance(expectation.rule, Predicate):
                continue
            passes = holds(expectation)
            rules.append((expectation, passes))
            conditions.append(passes)
            # FALSE and NULL both fall into ELSE.
            terms[self._masks.column(index)].append(
                f"CASE WHEN {passes} THEN 0 ELSE {self._masks.bit(index)} END"
            )
        masks = ", ".join(
            f"({' + '.join(column)})::BIGINT AS {name}"
            for name, column in zip(self._masks.names, terms, strict=True)
        )
        failing = f"({' AND '.join(conditions)}) IS NOT TRUE" if conditions else "false"
        try:
            with self._naming_the_rule(*rules):
                self.con.execute(
                    f"CREATE OR REPLACE TEMP TABLE {bad} AS "
                    f"SELECT {RID}, {masks} FROM ({self.relation}) AS r WHERE {failing}"
                )
        except BY_DATA:
            self._blame()
            raise

    @contextmanager
    def _naming_the_rule(self, *rules: tuple[Expectation, str]) -> Iterator[None]:
        """If the rules of a statement do not compile, raise the error of the first that does not.

        Only then are they compiled one by one: each costs as much as planning a query.

        Args:
            rules: each with what it computes for a row, as SQL.
        """
        try:
            yield
        except duckdb.InterruptException:
            raise
        except duckdb.Error:
            for expectation, sql in rules:
                compile_rule(self.con, self.relation, expectation, sql)
            raise

    def _blame(self) -> None:
        """Raise the error of the rule that cannot take a value, if it is a rule's."""
        for expectation in self.expectations:
            if isinstance(expectation.rule, Predicate):
                sql = f"count(*) FILTER (WHERE {holds(expectation)})"
                with explained(query_of(expectation), (), expectation):
                    self._count(f"SELECT {sql} FROM ({self.relation}) AS r")

    def _mark_orphans(
        self, bad: str, index: int, expectation: Expectation, rule: References
    ) -> None:
        """A row breaks REFERENCES if its columns are all there but not in the other table."""
        source = self.references.get(fold(rule.dataset))
        if source is None:
            raise DatasetNotFoundError(
                f"expectation {expectation.name} references {rule.dataset!r},"
                " which has no table yet",
                location=expectation.location,
                hint=f"run it first: qanat run --select {shlex.quote('+' + rule.dataset)}",
            )
        complete = " AND ".join(f"r.{quote(c)} IS NOT NULL" for c in rule.columns)
        same = self._same_keys(rule, source)
        orphan = f"{complete} AND NOT EXISTS (SELECT 1 FROM ({source}) AS t WHERE {same})"
        if filters := about(expectation):
            orphan = f"{filters} AND {orphan}"
        with self._naming_the_rule((expectation, orphan)):
            self._add(bad, index, f"SELECT {RID} FROM ({self.relation}) AS r WHERE {orphan}")

    def _same_keys(self, rule: References, source: str) -> str:
        """SQL that is true if a row `r` has the key of a row `t` of the other table.

        Where only one of them is text by now, both are compared as text: `=` would make numbers
        of all texts, and fail for the first that is none.
        """
        columns = [", ".join(map(quote, names)) for names in (rule.columns, rule.target_columns)]
        described = (
            columns_of(found.columns, found.types)
            for names, rows in zip(columns, (self.relation, source), strict=True)
            for found in [self.con.sql(f"SELECT {names} FROM ({rows}) LIMIT 0")]
        )
        return " AND ".join(
            f"{_as_text('t', b, a)} = {_as_text('r', a, b)}"
            for a, b in zip(*described, strict=True)
        )

    def _mark_duplicates(
        self, bad: str, index: int, expectation: Expectation, rule: Unique
    ) -> None:
        """A row breaks UNIQUE if its key is in the table already, or in a kept row before it.

        Rows that other rules remove neither take a key nor are excused. Only keys that occur
        more than once, or in the table, are looked at row by row.
        """
        keys = ", ".join(quote(c) for c in rule.columns)
        complete = " AND ".join(f"{quote(c)} IS NOT NULL" for c in rule.columns)
        same = " AND ".join(f"s.{quote(c)} = r.{quote(c)}" for c in rule.columns)
        suspects = self._table(f"suspects_{index}")
        relation, known = f"({among(self.relation, expectation)})", ""
        if self.existing is not None:
            existing = among(self.existing, expectation)
            known = (
                f" UNION ALL SELECT {keys}, true FROM (SELECT DISTINCT {keys} FROM "
                f"({existing}) AS s WHERE EXISTS "
                f"(SELECT 1 FROM {relation} AS r WHERE {same}))"
            )
        # A window finds repeated keys in half the CPU and memory of GROUP BY … HAVING.
        repeated = (
            f"SELECT {keys}, false AS known FROM (SELECT {keys} FROM {relation} WHERE {complete} "
            f"QUALIFY row_number() OVER (PARTITION BY {keys}) > 1)"
        )
        with self._naming_the_rule((expectation, complete)):
            self.con.execute(
                f"CREATE OR REPLACE TEMP TABLE {suspects} AS "
                f"SELECT {keys}, bool_or(known) AS known FROM ({repeated}{known}) GROUP BY {keys}"
            )
        if self._count(f"SELECT count(*) FROM {suspects}"):
            by = ", ".join(f"s.{quote(c)}" for c in rule.columns)
            self._add(
                bad,
                index,
                f"SELECT {RID} FROM (SELECT r.{RID}, s.known, {self.place} AS place, "
                f"min({self.place}) FILTER (WHERE NOT {self._masks.removed('b')}) "
                f"OVER (PARTITION BY {by}) AS first "
                f"FROM {relation} AS r JOIN {suspects} AS s ON {same} "
                f"LEFT JOIN {bad} AS b ON b.{RID} = r.{RID}) WHERE known OR place > first",
            )
        self.con.execute(f"DROP TABLE {suspects}")

    def _mark_unordered(
        self, bad: str, index: int, expectation: Expectation, rule: Monotonic
    ) -> None:
        """A row breaks it that is beyond the last of all rows before it, those of the table first.

        Rows that other rules remove count for no later row.
        """
        column = quote(rule.column)
        last = "min" if rule.descending else "max"
        beyond = (">" if rule.descending else "<") + ("=" if rule.strict else "")
        rows = f"({among(self.relation, expectation)})"
        tests = [f"value {beyond} before"]
        if self.existing is not None:
            existing = among(self.existing, expectation)
            tests.append(f"value {beyond} (SELECT {last}({column}) FROM ({existing}))")
        before = (
            f"{last}(r.{column}) FILTER (WHERE NOT {self._masks.removed('b')}) OVER (ORDER BY "
            f"{self.place} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
        )
        with self._naming_the_rule((expectation, column)):
            self._add(
                bad,
                index,
                f"SELECT {RID} FROM (SELECT r.{RID}, r.{column} AS value, {before} AS before "
                f"FROM {rows} AS r LEFT JOIN {bad} AS b ON b.{RID} = r.{RID}) "
                f"WHERE {' OR '.join(tests)}",
            )

    def _add(self, bad: str, index: int, violations: str) -> None:
        """Set one rule's bit for the rows that a SELECT of identifiers gives."""
        bits = ", ".join(
            f"{self._masks.bit(index) if i == self._masks.column(index) else 0}::BIGINT AS {name}"
            for i, name in enumerate(self._masks.names)
        )
        merged = ", ".join(f"bit_or({name}) AS {name}" for name in self._masks.names)
        self.con.execute(
            f"CREATE OR REPLACE TEMP TABLE {bad} AS SELECT {RID}, {merged} FROM "
            f"(FROM {bad} UNION ALL SELECT {RID}, {bits} FROM ({violations})) GROUP BY {RID}"
        )

    def _remove(self, bad: str) -> tuple[str | None, int, int]:
        quarantines = self._masks.any(Action.QUARANTINE, "b")
        row = self.con.execute(
            f"SELECT count(*) FILTER ({quarantines}), "
            f"count(*) FILTER ({self._masks.any(Action.DROP, 'b')} AND NOT {quarantines}) "
            f"FROM {bad} AS b"
        ).fetchone()
        quarantined, dropped = row if row else (0, 0)
        if not quarantined and not dropped:
            return None, 0, 0
        removed = self._table("removed")
        self.con.execute(
            f"CREATE OR REPLACE TEMP TABLE {removed} AS SELECT *, {quarantines} AS quarantined "
            f"FROM {bad} AS b WHERE {self._masks.removed('b')}"
        )
        return removed, quarantined, dropped

    def _rule_counts(self, bad: str, about: Sequence[int]) -> tuple[RuleCount, ...]:
        if not self.expectations:
            return ()
        counts = ", ".join(
            f"count(*) FILTER ({self._masks.has(i, 'b')})" for i in range(len(self.expectations))
        )
        row = self.con.execute(f"SELECT {counts} FROM {bad} AS b").fetchone() or ()
        return tuple(
            RuleCount.of(self.dataset, e, int(n), rows)
            for e, n, rows in zip(self.expectations, row, about, strict=True)
        )

    # -- pieces of SQL ---------------------------------------------------------------------

    def failed_rules(self, alias: str) -> str:
        """A MAP from the names of the rules a removed row failed to their texts."""
        entries = ", ".join(
            f"CASE WHEN {self._masks.has(i, alias)} THEN "
            f"{{'key': {literal(e.name)}, 'value': {literal(e.broken_text)}}} END"
            for i, e in enumerate(self.expectations)
        )
        return f"map_from_entries(list_filter([{entries}], lambda x: x IS NOT NULL))"

    @property
    def _masks(self) -> Masks:
        return Masks(self.expectations)

    def _table(self, role: str) -> str:
        return quote(f"__qanat_{self.name}_{role}")

    def _count(self, sql: str) -> int:
        row = self.con.execute(sql).fetchone()
        return int(row[0]) if row else 0


def unbalanced(dataset: str, wanted: int, got: int) -> InvariantError:
    """The error that rows got lost or doubled between two passes."""
    return InvariantError(
        f"rows of {dataset} do not add up",
        wanted=f"{wanted} rows",
        got=f"{got} rows",
        hint="nothing was published; this is a defect of Qanat, or a query that gives other"
        " rows each time it runs",
    )


def _as_text(table: str, column: Column, other: Column) -> str:
    """A column of a table for a comparison with another one: as text if only that is text."""
    value = f"{table}.{quote(column.name)}"
    if other.type != STRING or column.type is None or column.type == STRING:
        return value
    return as_wider(value, column.raw, column.type, STRING)[0]
