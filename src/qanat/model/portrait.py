"""A dataset as catalogs describe it: where it is, what it is made of, and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from qanat.frozen import Frozen
from qanat.model.expectation import Expectation
from qanat.model.location import ObjectUrl, is_url
from qanat.model.metrics import Columns
from qanat.model.schema import NO_COLUMNS, Schema
from qanat.model.staged import Counts, RuleCount


class Place(Frozen):
    """Where data are, by the names that catalogs give to places (those of OpenLineage).

    Args:
        namespace: of the system: `file`, `s3://bucket`, `postgres://host:port`.
        name: of the data there: a path, `database.schema.table`, a topic.
    """

    namespace: str
    name: str

    @property
    def url(self) -> str:
        """Both as one URL."""
        if "://" in self.namespace:
            return f"{self.namespace}/{self.name.lstrip('/')}"
        return f"{self.namespace}://{self.name}"


def place_of(location: str) -> Place:
    """The place of a folder, a file, or a URL of an object store.

    >>> place_of("/data/shop/tables/silver")
    Place(namespace='file', name='/data/shop/tables/silver')
    >>> place_of("s3a://lake/shop/tables/silver")
    Place(namespace='s3://lake', name='shop/tables/silver')
    """
    if not is_url(location):
        return Place("file", location.removeprefix("file://"))
    if ObjectUrl.is_known(location):
        url = ObjectUrl.parse(location)
        return Place(url.store, url.key or "/")
    scheme, _, rest = location.partition("://")
    host, _, path = rest.partition("/")
    return Place(f"{scheme}://{host}", path or "/")


class ColumnSource(Frozen):
    """A column that another one is computed from.

    Args:
        place: of the data that have it.
        column: its name.
        expression: what is computed; empty for a copy.
    """

    place: Place
    column: str
    expression: str = ""


class Made(Frozen):
    """What one update has done to a dataset.

    Args:
        counts: rows, of all epochs.
        rules: what came of expectations, of all epochs.
        files: that were read; a table's rows are counted, not its files.
        bytes: that were written.
        columns: what is known of the columns of the rows that were written.
        version: of the table afterwards; None for sinks, and if nothing was written.
        replaced: True if the rows took the place of all that were there.
    """

    counts: Counts = field(default_factory=Counts)
    rules: tuple[RuleCount, ...] = ()
    files: int = 0
    bytes: int = 0
    columns: Columns = field(default_factory=dict)
    version: int | None = None
    replaced: bool = False


class Portrait(Frozen):
    """One dataset.

    Args:
        place: of its table, or where it sends to; None if it has neither.
        format: of its table or of the sink.
        inputs: what it is made of, with the columns that are known there.
        origins: by column, those that it is computed from; columns of which nobody knows that
            are left out.
        query: its queries as they are written; empty if they are Python.
        dialect: of the queries.
        comment: what its author says of it.
        owners: whom to ask about it: its table property `owner`.
        tags: the words by which it is found.
        streams: True if its flows read only what is new.
        expectations: that its rows are checked by.
        quarantine: where rows go that break a rule; None if they cannot.
        made: what an update has done to it; None if nobody asked for that.
    """

    dataset: str
    kind: str
    place: Place | None
    format: str
    inputs: Mapping[Place, Schema]
    schema: Schema = NO_COLUMNS
    origins: Mapping[str, tuple[ColumnSource, ...]] = field(default_factory=dict)
    query: str = ""
    dialect: str = ""
    comment: str | None = None
    owners: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    streams: bool = False
    expectations: tuple[Expectation, ...] = ()
    quarantine: Place | None = None
    made: Made | None = None
