"""The staging of an epoch whose flow keeps rows: its operator stands between inputs and rules.

What goes into the operator is computed row by row, so rows that cannot be computed are set aside
there; rules are for its result. Rows that came too late are counted, and put aside if asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from sqlglot import exp

from qanat.engines.duckdb.files.bound import RESERVED
from qanat.engines.duckdb.rules import compile_predicates
from qanat.engines.duckdb.stage import Staging
from qanat.engines.duckdb.state.cache import Caches
from qanat.engines.duckdb.state.epoch import StateEpoch
from qanat.engines.duckdb.types import Fitted, Result
from qanat.engines.duckdb.waiting import Waiting
from qanat.model.query import SqlQuery
from qanat.model.staged import Counts, Staged
from qanat.planning.stateful import tree_of
from qanat.text import quote


@dataclass(slots=True)
class StatefulStaging(Staging):
    """The staging of one `Work` with a state."""

    caches: Caches = field(kw_only=True)
    kept: StateEpoch | None = None
    _of: Waiting | None = None

    def _described(self) -> Fitted:
        for view in self.work.views:
            described = self._query(view.name, view.query, positions=False)
            self.bindings.define_view(view.name, described.select, described.names, ())
        self._bind_inputs()
        result = self._operator(computes=False).result()
        fitted = self._fitted(result)
        relation = f"SELECT {fitted.projection} FROM ({result.select})"
        compile_predicates(self.con, relation, self.work.expectations)
        return self._merged(fitted, relation)

    def _with_state(self, staged: Staged) -> Staged:
        kept = self._operator()
        counts, rules, tables = staged.counts, staged.rules, staged.quarantines
        late = kept.late()
        total = sum(rows for _, rows in late.values())
        counts += Counts(late=total)
        if total and self.work.state is not None and self.work.state.keeps_late:
            named = {each.name: each.query for each in self.work.state.stateful.inputs}
            found = [(f"({n})", self._told(named[n], t), False) for n, (t, _) in late.items()]
            self.waiting.late(found, staged.given)
            counts += Counts(out=total, quarantined=total)
            rules, tables = (*rules, self.waiting.rules[-1]), self.waiting.tables
        if staged.failed:
            return replace(staged, counts=counts)
        return replace(staged, counts=counts, rules=rules, quarantines=tables, state=kept.stage())

    def _compiled(self) -> tuple[Result, Fitted]:
        result = self._operator().result()
        return result, self._fitted(result)

    def _look_with(self, aside: Any, strictly: bool) -> None:
        for each in self.work.state.stateful.inputs if self.work.state is not None else ():
            self._bind_reads(each.query)
            aside.look(each.query, strictly)

    def _groups(self) -> str | None:
        state = self.work.state
        return self._operator().groups if state and state.stateful.changes else None

    def _operator(self, computes: bool = True) -> StateEpoch:
        # After rows were set aside, `waiting` is another one: all is computed once more.
        if self.kept is None or self._of is not self.waiting:
            self._of = self.waiting
            # Of views, too, it is looked at whether they have the event times.
            self._bind_reads(self.work.query)
            self.kept = StateEpoch(
                self.con, self.bindings, self.work, self._input, self.caches, computes
            )
        return self.kept

    def _told(self, query: SqlQuery, rows: str) -> str:
        """SELECT text of rows of an input, with its columns called as the author knows them."""
        tree = tree_of(query)
        given = tree.selects if isinstance(tree, exp.Query) else []
        known = {e.alias: e.unalias().sql(query.dialect) for e in given}
        columns = self.con.sql(f"SELECT * FROM ({rows}) LIMIT 0").columns
        told = {c: known.get(c, c) if c.startswith(RESERVED) else c for c in columns}
        listed = ", ".join(f"{quote(c)} AS {quote(name)}" for c, name in told.items())
        return f"SELECT {listed} FROM ({rows})"

    def _input(self, name: str, query: SqlQuery) -> Result:
        return self._query(name, query, positions=False)
