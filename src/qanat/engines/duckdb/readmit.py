"""Check quarantined rows again: those that pass leave, all others go back as they are."""

from __future__ import annotations

from qanat.engines.duckdb.files.bound import RID
from qanat.engines.duckdb.split import Split
from qanat.engines.duckdb.types import literal, quote, to_duckdb
from qanat.frozen import Frozen
from qanat.model.name import Names
from qanat.model.schema import Schema
from qanat.model.work import MALFORMED, QUARANTINE_FIELDS

_RULES, _RAW = "_quarantine_rules", "_quarantine_raw"
# The columns of these rows do not say all that the row was: it could not be parsed, or a value did
# not fit into the quarantine's columns. The whole row is in its raw text alone.
_INCOMPLETE = f"(list_contains(map_keys({_RULES}), {literal(MALFORMED)}) OR {_RAW} IS NOT NULL)"


class Quarantined(Frozen):
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
        names = Names(self.columns)
        columns = ", ".join(
            f"{quote(found)} AS {quote(f.name)}"
            if (found := names.find(f.name)) is not None
            else f"NULL::{to_duckdb(f.type)} AS {quote(f.name)}"
            for f in schema.fields
        )
        return f"SELECT {columns}, {RID} FROM ({self.relation}) WHERE NOT {_INCOMPLETE}"

    def remaining(self, split: Split, schema: Schema) -> str:
        """SELECT text of the rows that stay, in the columns of the quarantine."""
        columns = ", ".join(f"q.{quote(n)}" for n in schema.names)
        stays = _INCOMPLETE
        if split.removed is not None:
            stays += f" OR q.{RID} IN (SELECT {RID} FROM {split.removed})"
        return f"SELECT {columns} FROM ({self.relation}) AS q WHERE {stays}"
