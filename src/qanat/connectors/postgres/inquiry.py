"""What a server says about a relation: its columns, their types, its key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from qanat.connectors.postgres.relation import Relation
from qanat.connectors.postgres.server import Control, reading
from qanat.connectors.postgres.types import Column, ServerType, declared, described
from qanat.connectors.postgres.url import Url
from qanat.errors import ColumnNotFoundError, QueryError, nearest
from qanat.frozen import Frozen
from qanat.model.name import Names, same
from qanat.model.query import SourceRef
from qanat.text import literal


class Inquiry(Frozen):
    """A reference that is being looked at, in one snapshot of its database.

    Args:
        types: of its columns, by name, in order.
    """

    ref: SourceRef
    relation: Relation
    session: Control
    types: Mapping[str, ServerType]

    def one(self, sql: str) -> Any:
        """The first value of the first row; None if there is none."""
        row = self.session.execute(sql.encode()).fetchone()
        return row[0] if row else None

    @property
    def columns(self) -> tuple[Column, ...]:
        """How the columns are read.

        Raises:
            OptionError, ColumnNotFoundError, TypeNameError: the option `schema` is wrong.
        """
        return described(self.types, declared(self.ref.option("schema", "")))

    def column(self, name: str) -> str:
        """The name of a column as the server has it.

        Raises:
            ColumnNotFoundError: there is none.
        """
        plain = name.strip().strip('"')
        for exact in (True, False):
            for each in self.types:
                if each == plain or (not exact and same(each, plain)):
                    return each
        raise ColumnNotFoundError(
            f"{self.ref.place} has no column {plain!r}", nearest=nearest(plain, self.types)
        )

    def never_null(self, column: str) -> bool:
        """True if the server itself lets no NULL into a column."""
        if self.relation.table is None:
            return False
        return bool(
            self.one(
                "SELECT attnotnull FROM pg_attribute WHERE attrelid ="
                f" {self._regclass} AND attname = {literal(column)}"
            )
        )

    def identity(self, cursor: str) -> tuple[str, ...]:
        """The columns that tell rows apart: the cursor and a key, else all.

        Raises:
            ColumnNotFoundError: the option `key` names one that is not there.
        """
        if key := self.ref.option("key"):
            columns = [self.column(name) for name in key.split(",")]
        elif self.relation.table is not None:
            rows = self.session.execute(
                (
                    "SELECT a.attname FROM pg_index AS i JOIN pg_attribute AS a"
                    " ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)"
                    f" WHERE i.indisprimary AND i.indrelid = {self._regclass}"
                ).encode()
            )
            columns = sorted(name for (name,) in rows)
        else:
            columns = []
        return tuple(dict.fromkeys([cursor, *(columns or self.types)]))

    @property
    def _regclass(self) -> str:
        return f"{literal(self.relation.table or '')}::regclass"


@contextmanager
def inquiry(ref: SourceRef) -> Iterator[Inquiry]:
    """Look at a reference in one snapshot.

    Raises:
        OptionError: it names no table or query, or no database.
        QueryError: two of its columns have one name.
        QanatError: the server says no, as `server.explained` tells.
    """
    relation = Relation.of(ref.place)
    with reading(address(ref)) as session:
        yield Inquiry(ref, relation, session, _types(session, relation, ref.place))


def address(ref: SourceRef) -> Url:
    """The database of a reference."""
    url = ref.option("url")
    return url if isinstance(url, Url) else Url(str(url))


def _types(session: Control, relation: Relation, place: str) -> dict[str, ServerType]:
    cursor = session.execute(f"SELECT * FROM {relation.text} AS q LIMIT 0".encode())
    result = cursor.pgresult
    if result is None:  # psycopg gives one with every statement that was executed
        raise TypeError("a SELECT without a result")
    # libpq knows a column's type by its number, and a domain as what it is based on.
    found = [
        (column.name, column.type_code, result.fmod(number))
        for number, column in enumerate(cursor.description or ())
    ]
    names = [name for name, _, _ in found]
    if len(Names(names)) < len(names) or not names:
        double = next((n for n in names if sum(same(m, n) for m in names) > 1), "")
        raise QueryError(
            f"two columns of {place[:80]} are called {double!r}"
            if double
            else f"{place[:80]} has no columns",
            hint="give them different names: SELECT a.id AS a_id, …",
        )
    oids = ", ".join(str(oid) for _, oid, _ in found)
    rows = session.execute(
        (
            "SELECT t.oid::int8, t.typname, e.typname, e.typtype FROM pg_type AS t"
            " LEFT JOIN pg_type AS e ON e.oid = t.typelem AND t.typcategory = 'A'"
            f" AND t.typlen = -1 WHERE t.oid IN ({oids})"
        ).encode()
    )
    known = {oid: (name, element) for oid, name, element, _ in rows}
    return {name: ServerType(known[oid][0], mod, known[oid][1]) for name, oid, mod in found}
