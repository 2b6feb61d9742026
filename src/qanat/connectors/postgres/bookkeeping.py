"""Which epochs a table holds, in a table `_qanat_epochs` beside it.

There is one row for each table and flow. Rows and number are committed together, so that neither
is there without the other. `attempt` names the attempt that may commit next: an update that takes
over replaces or removes it, so a process that slept meanwhile finds another name and rolls back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b

from qanat.connectors.postgres.drivers import LockNotAvailable
from qanat.connectors.postgres.relation import TableName
from qanat.connectors.postgres.server import Control
from qanat.frozen import Frozen
from qanat.text import literal, quote

TABLE = "_qanat_epochs"
LOCK_SECONDS = 30
"""How long a session waits for a lock."""
_PATIENCE = "200ms"
"""How long a session that takes over waits before it ends the session in its way."""
_CREATE = """CREATE TABLE IF NOT EXISTS {table} (
  target text NOT NULL, flow text NOT NULL, epoch bigint NOT NULL, rows bigint NOT NULL,
  attempt text, published_by text, published_at timestamptz, PRIMARY KEY (target, flow))"""


class Books(Frozen):
    """The books of one table.

    Args:
        schema, name: of the table that takes the rows.
    """

    schema: str
    name: str

    @staticmethod
    def of(session: Control, table: TableName) -> Books:
        """The books of a table; one without a schema is in the first of the search path."""
        schema = table.schema
        if schema is None:
            row = session.execute("SELECT coalesce(current_schema(), 'public')::text").fetchone()
            schema = str(row[0]) if row else "public"
        return Books(schema, table.name)

    @property
    def table(self) -> str:
        """The table that takes the rows, as SQL."""
        return f"{quote(self.schema)}.{quote(self.name)}"

    @property
    def epochs(self) -> str:
        """The table with the books, as SQL."""
        return f"{quote(self.schema)}.{quote(TABLE)}"

    def key(self, flow: str) -> int:
        """The number of the advisory lock that the sessions of a flow hold."""
        text = "\0".join((TABLE, self.schema, self.name, flow))
        return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), signed=True)

    def where(self, flow: str) -> str:
        """The row of a flow."""
        return f"target = {literal(self.name)} AND flow = {literal(flow)}"

    def exist(self, session: Control) -> bool:
        """True if the table with the books exists."""
        row = session.execute(f"SELECT to_regclass({literal(self.epochs)})".encode()).fetchone()
        return row is not None and row[0] is not None

    def create(self, session: Control) -> None:
        """Create the table with the books."""
        # A role that may not create tables can use one that another role has created.
        if not self.exist(session):
            with session.transaction():
                # Two sessions that create one table at once would both fail.
                session.execute(f"SELECT pg_advisory_xact_lock({self.key('')})".encode())
                session.execute(_CREATE.format(table=self.epochs).encode())

    def last(self, session: Control, flow: str) -> int:
        """The number of a flow's newest epoch; 0 if there is none."""
        if not self.exist(session):
            return 0
        sql = f"SELECT epoch FROM {self.epochs} WHERE {self.where(flow)}"
        row = session.execute(sql.encode()).fetchone()
        return int(row[0]) if row else 0

    def attempts(self, session: Control) -> dict[str, str]:
        """The attempt that may commit next, by flow."""
        if not self.exist(session):
            return {}
        sql = f"SELECT flow, attempt FROM {self.epochs} WHERE attempt IS NOT NULL"
        return dict(
            session.execute(f"{sql} AND target = {literal(self.name)}".encode()).fetchall()
        )

    def begin(self, session: Control, flow: str, attempt: str) -> None:
        """Let an attempt be the one that may commit next."""
        with self._taken(session, flow):
            session.execute(
                (
                    f"INSERT INTO {self.epochs} (target, flow, epoch, rows, attempt) VALUES"
                    f" ({literal(self.name)}, {literal(flow)}, 0, 0, {literal(attempt)})"
                    " ON CONFLICT (target, flow) DO UPDATE SET attempt = EXCLUDED.attempt"
                ).encode()
            )

    def end(self, session: Control, flow: str, attempt: str | None = None) -> None:
        """Let no attempt commit any more; or, if one is named, not that one."""
        mine = "" if attempt is None else f" AND attempt = {literal(attempt)}"
        sql = f"UPDATE {self.epochs} SET attempt = NULL WHERE {self.where(flow)}{mine}"
        with self._taken(session, flow):
            session.execute(sql.encode())

    def rename(self, session: Control, flow: str, new: str) -> None:
        """Let a flow's row be another's, in place of what that has; nothing if there is no row."""
        moved = f"SELECT 1 FROM {self.epochs} WHERE {self.where(flow)}"
        with self._taken(session, flow):
            # A flow that never sent anything may have a row: an attempt of it began.
            session.execute(
                f"DELETE FROM {self.epochs} WHERE {self.where(new)} AND EXISTS ({moved})".encode()
            )
            session.execute(
                (
                    f"UPDATE {self.epochs} SET flow = {literal(new)}, attempt = NULL"
                    f" WHERE {self.where(flow)}"
                ).encode()
            )

    @contextmanager
    def _taken(self, session: Control, flow: str) -> Iterator[None]:
        """A transaction that holds the flow's row, alone.

        Only the holder of the lease comes here: a session in its way belongs to an update that has
        lost the lease, and may be asleep in the middle of a statement.
        """
        lock = f"SELECT pg_advisory_xact_lock({self.key(flow)})".encode()
        try:
            with session.transaction():
                session.execute(f"SET LOCAL lock_timeout = '{_PATIENCE}'".encode())
                session.execute(lock)
        except LockNotAvailable:
            self._end_holder(session, flow)
        with session.transaction():
            session.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'".encode())
            # The server may be configured to answer before the commit is on its disk.
            session.execute("SET LOCAL synchronous_commit = on")
            session.execute(lock)
            yield

    def _end_holder(self, session: Control, flow: str) -> None:
        key = self.key(flow) & 0xFFFF_FFFF_FFFF_FFFF
        session.execute(
            (
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
                " AND granted AND objsubid = 1 AND database ="
                " (SELECT oid FROM pg_database WHERE datname = current_database())"
                f" AND classid = {key >> 32} AND objid = {key & 0xFFFF_FFFF}"
            ).encode()
        )
