"""Envelopes: messages that say of a row what it was, what it is, and what happened to it.

What a tool that captures changes writes around each row is one value here, whichever connector
brings the messages: `OPTION` is the option by which a connector's table function takes it, the
engine opens the messages, and AUTO CDC takes from it what a change does.
"""

from __future__ import annotations

from collections.abc import Mapping

from qanat.frozen import Frozen
from qanat.model.adapter import Option
from qanat.model.query import SourceRef
from qanat.model.schema import Field, Primitive


class Envelope(Frozen):
    """How a tool writes changes, once they are opened.

    Args:
        deletes: SQL that is true for a row that was deleted.
        truncates: SQL that is true where the whole table was emptied; such a row has no values.
        columns: columns that its rows have besides their own; those of `prefixes` as well.
        prefixes: what the names of further such columns begin with.
        filled: of those columns the ones with whole numbers: their type, also where the first
            messages have none.
    """

    deletes: str
    truncates: str
    columns: tuple[str, ...]
    prefixes: tuple[str, ...]
    filled: tuple[Field, ...]

    @property
    def patterns(self) -> tuple[str, ...]:
        """Its columns as `Chosen.hidden` has them."""
        return (*self.columns, *(f"{prefix}*" for prefix in self.prefixes))


OP, DELETED = "__op", "__deleted"
TIMES = ("ts_ms", "ts_us", "ts_ns")
"""The times of a message: when it was made, and in `source` when the row was changed."""
SOURCE, TRANSACTION = "__source_", "__transaction_"

_NUMBERS = (
    *(f"__{name}" for name in TIMES),
    # The positions of PostgreSQL, and of MySQL and MariaDB.
    *(f"{SOURCE}{name}" for name in (*TIMES, "lsn", "xmin", "pos", "row", "server_id")),
    *(f"{TRANSACTION}{name}" for name in ("total_order", "data_collection_order")),
)

DEBEZIUM = Envelope(
    deletes=f"{OP} = 'd'",
    truncates=f"{OP} = 't'",
    columns=(OP, DELETED, *(f"__{name}" for name in TIMES)),
    prefixes=(SOURCE, TRANSACTION),
    filled=tuple(Field(name, Primitive("long")) for name in _NUMBERS),
)
"""Debezium's; columns are called as its SMT ExtractNewRecordState calls them."""

ENVELOPES: Mapping[str, Envelope] = {"debezium": DEBEZIUM}

OPTION = Option(
    "envelope",
    "what messages are wrapped in: debezium; each becomes the row that it is about",
    choices={name: name for name in ENVELOPES},
)


def envelope_of(ref: SourceRef) -> Envelope | None:
    """The envelope of a source's messages; None if it has plain rows.

    >>> envelope_of(SourceRef("files", "in/*.json", (("envelope", "debezium"),))).deletes
    "__op = 'd'"
    """
    return ENVELOPES.get(str(ref.option(OPTION.name, "")))
