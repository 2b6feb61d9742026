"""The rows of a quarantine that a replay leaves there, each for the reasons that there are now."""

from __future__ import annotations

from collections.abc import Sequence

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.files.bound import RID, SOURCE
from qanat.engines.duckdb.quarantine import ENTRY, INCOMPLETE, RULES, Quarantined
from qanat.engines.duckdb.split import Split, Splitter
from qanat.model.quarantine import FAILED, MALFORMED
from qanat.model.schema import Schema
from qanat.text import literal, quote

_MAP = "MAP(VARCHAR, VARCHAR)"
_STAYING, _COMPUTED = "__qanat_staying", "__qanat_computed"
_PARSED = "__qanat_parsed"


def _still(row: str, parsed: str, computed: str) -> str:
    """SQL of the reasons of a row that stays incomplete, under the rule that it waits for.

    That rule decides what its raw text is at the next replay: a line, or values as JSON.

    Args:
        row: SQL of its identifier.
        parsed: SQL of the reason if it is a line that was parsed again.
        computed: SQL of the reason if it was only computed again.
    """
    return (
        f"CASE WHEN {row} IN (FROM {_PARSED}) THEN MAP {{{literal(MALFORMED)}: {parsed}}} "
        f"ELSE MAP {{{literal(FAILED)}: {computed}}} END"
    )


# What has become of a row that was incomplete, and breaks a rule now that it is whole.
_PROGRESS = _still(
    "entry",
    "'the row can be parsed now, but breaks a rule'",
    "'the row can be computed now, but breaks a rule'",
)


class Staying:
    """The rows of a quarantine that a replay leaves there, and why.

    Args:
        rows: of the quarantine. Those that are not asked about stay as they are.
    """

    def __init__(self, con: DuckDBPyConnection, rows: Quarantined) -> None:
        self._con, self._rows = con, rows
        con.execute(f"CREATE OR REPLACE TEMP TABLE {_STAYING} (entry BIGINT, reasons {_MAP})")
        con.execute(f"CREATE OR REPLACE TEMP TABLE {_COMPUTED} (entry BIGINT)")
        con.execute(f"CREATE OR REPLACE TEMP TABLE {_PARSED} (entry BIGINT)")

    @property
    def entries(self) -> str:
        """The rows that were checked and stay, as a subquery."""
        return f"(SELECT entry FROM {_STAYING})"

    def add_unparsed(self, parsed: str, unparsed: str) -> None:
        """Add rows that could not be parsed, again.

        Args:
            parsed: SELECT text of those that could.
            unparsed: SELECT text of those that could not, each with its reason.
        """
        self._con.execute(f"INSERT INTO {_PARSED} {parsed}")
        why = f"MAP {{{literal(MALFORMED)}: reason}}"
        self._con.execute(f"INSERT INTO {_STAYING} SELECT rid, {why} FROM ({unparsed})")

    def add_failed(self, computed: str, failed: str) -> None:
        """Add rows that could not be computed, again.

        Args:
            computed: SELECT text of all that were computed.
            failed: SELECT text of those that failed, each with its reason.
        """
        self._con.execute(f"INSERT INTO {_COMPUTED} {computed}")
        parsed = "'the row can be parsed now, but not computed: ' || reason"
        why = _still("rid", parsed, "reason")
        self._con.execute(f"INSERT INTO {_STAYING} SELECT rid, {why} FROM ({failed})")

    def add_early(self, early: Sequence[str]) -> None:
        """Add rows that the table cannot take yet, as SELECT texts of `entry` and `reason`."""
        for each in early:
            why = _still("entry", "min(reason)", "min(reason)")
            found = f"FROM ({each}) WHERE entry NOT IN {self.entries} GROUP BY entry"
            self._con.execute(f"INSERT INTO {_STAYING} SELECT entry, {why} {found}")

    def add_removed(self, removed: Sequence[str]) -> None:
        """Add rows that rules of views remove, as SELECT texts of `entry` and `rules`."""
        for each in removed:
            known = f"entry NOT IN {self.entries}"
            found = (
                f"SELECT entry, first(rules) AS rules FROM ({each}) WHERE {known} GROUP BY entry"
            )
            reasons = f"map_concat({_PROGRESS}, rules)"
            self._con.execute(f"INSERT INTO {_STAYING} SELECT entry, {reasons} FROM ({found})")

    def add_broken(self, relation: str, splitter: Splitter, split: Split) -> None:
        """Add rows that break rules.

        Args:
            relation: of the rows that were checked.
        """
        if split.removed is None:
            return
        rules = f"first({splitter.failed_rules('b')}) AS rules"
        broken = (
            f"SELECT r.{ENTRY} AS entry, {rules} FROM ({relation}) AS r "
            f"JOIN {split.removed} AS b ON r.{RID} = b.{RID} "
            f"WHERE r.{ENTRY} NOT IN {self.entries} GROUP BY r.{ENTRY}"
        )
        progress = f"map_concat({_PROGRESS}, rules)"
        reasons = f"CASE WHEN entry IN (FROM {_COMPUTED}) THEN {progress} ELSE rules END"
        self._con.execute(f"INSERT INTO {_STAYING} SELECT entry, {reasons} FROM ({broken})")

    @property
    def _stays(self) -> str:
        unchecked = f"{INCOMPLETE} AND q.{RID} NOT IN (FROM {_COMPUTED})"
        return f"s.entry IS NOT NULL OR ({unchecked}) OR NOT ({self._rows.asked})"

    @property
    def _joined(self) -> str:
        return f"({self._rows.relation}) AS q LEFT JOIN {_STAYING} AS s ON s.entry = q.{RID}"

    def select(self, schema: Schema, sourced: bool) -> str:
        """SELECT text of the rows that stay, in the columns of the quarantine.

        Args:
            sourced: whether they tell which source file they come from.
        """
        own = f", q.{SOURCE}" if sourced else ""
        columns = ", ".join(
            f"coalesce(s.reasons, q.{RULES}) AS {RULES}" if n == RULES else f"q.{quote(n)}"
            for n in schema.names
        )
        return f"SELECT {columns}{own} FROM {self._joined} WHERE {self._stays}"

    @property
    def leaving(self) -> int:
        """How many rows leave the quarantine."""
        return self._count(f"{self._joined} WHERE NOT ({self._stays})")

    @property
    def refreshed(self) -> bool:
        """True if a row stays for other reasons than before."""
        return bool(self._count(f"{self._joined} WHERE s.reasons <> q.{RULES}"))

    def _count(self, rows: str) -> int:
        row = self._con.execute(f"SELECT count(*) FROM {rows}").fetchone()
        return int(row[0]) if row else 0
