"""Check quarantined rows again: those that pass leave, all others go back as they are."""

from __future__ import annotations

from dataclasses import dataclass

from qanat.engines.duckdb.files.bound import RID
from qanat.engines.duckdb.split import Split
from qanat.engines.duckdb.types import literal, quote, to_duckdb
from qanat.model.schema import Schema
from qanat.model.work import MALFORMED, QUARANTINE_FIELDS

_RULES = "_quarantine_rules"


@dataclass(frozen=True, slots=True)
class Quarantined:
    """The rows of a quarantine, bound for an engine.

    Args:
        relation: SELECT text of all columns of the quarantine and `__qanat_rid`.
        columns: those that the quarantine has.
    """

    relation: str
    columns: tuple[str, ...]

    def schema(self, table: Schema, quarantine: Schema) -> Schema:
        """The columns to check: the table's, or the rows' own before there is a table."""
        about = {f.name for f in QUARANTINE_FIELDS}
        own = tuple(f for f in quarantine.fields if f.name not in about)
        return table if table.fields else Schema(own)

    def candidates(self, schema: Schema) -> str:
        """SELECT text of a table's columns of the rows that may pass, and `__qanat_rid`."""
        columns = ", ".join(
            quote(f.name)
            if f.name in self.columns
            else f"NULL::{to_duckdb(f.type)} AS {quote(f.name)}"
            for f in schema.fields
        )
        return (
            f"SELECT {columns}, {RID} FROM ({self.relation}) WHERE NOT "
            f"list_contains(map_keys({_RULES}), {literal(MALFORMED)})"
        )

    def remaining(self, split: Split, schema: Schema) -> str:
        """SELECT text of the rows that stay, in the columns of the quarantine."""
        columns = ", ".join(f"q.{quote(n)}" for n in schema.names)
        stays = f"list_contains(map_keys(q.{_RULES}), {literal(MALFORMED)})"
        if split.removed is not None:
            stays += f" OR q.{RID} IN (SELECT {RID} FROM {split.removed})"
        return f"SELECT {columns} FROM ({self.relation}) AS q WHERE {stays}"
