"""What the trees of queries tell, remembered: to see a tree, the parser must be imported.

That takes as long as a small update. The session keeps the engine's notes between processes, so
that a query is parsed once for as long as it and the program stay the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, MutableMapping
from importlib import import_module
from typing import Any

from qanat.engines.duckdb.files.bound import METADATA
from qanat.frozen import Frozen
from qanat.model.query import SqlQuery


class Carried(Frozen):
    """A query that carries hidden columns along.

    Args:
        sql: its text.
        needs: the inputs whose relation must have its hidden columns, by `Read.name`.
        positions: the columns that the result has in front, which tell where each row came from;
            none where the query's rows are not rows of one input.
    """

    sql: str
    needs: tuple[str, ...] = ()
    positions: tuple[str, ...] = ()


class Queries:
    """Answers about queries. Safe to use from several threads.

    Args:
        notes: answers by question; new ones are added.
    """

    def __init__(self, notes: MutableMapping[str, Any]) -> None:
        self._notes = notes

    def copies_input(self, query: SqlQuery) -> bool:
        """Whether the query gives each row of its one input with all columns, and no others."""
        return bool(
            self._noted(
                ("copies", *_named(query)),
                # Imported only here, as below: with it comes the parser.
                lambda: import_module("qanat.planning.fingerprint").copies_input(query),
            )
        )

    def carrying(
        self, query: SqlQuery, hidden: Mapping[str, tuple[str, ...]], positions: bool
    ) -> Carried:
        """The query, made to carry the hidden columns of its inputs.

        Args:
            hidden: the hidden columns that each input can have, by `Read.name`.
            positions: whether the result shall tell where its rows came from.
        """
        if not positions and METADATA not in query.sql.lower():
            return Carried(query.sql)
        question = ("carry", *_named(query), sorted(hidden.items()), positions)
        return Carried(
            *self._noted(
                question,
                lambda: import_module("qanat.engines.duckdb.hidden").carry(
                    query, hidden, positions
                ),
            )
        )

    def _noted(self, question: tuple[object, ...], answer: Callable[[], Any]) -> Any:
        key = json.dumps(question)
        found = self._notes.get(key)
        if found is None:
            found = self._notes[key] = answer()
        return found


def _named(query: SqlQuery) -> tuple[object, ...]:
    return query.sql, query.dialect, [read.name for read in query.reads]
