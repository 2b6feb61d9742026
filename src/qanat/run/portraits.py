"""Datasets as catalogs describe them, for observers and exports; nothing is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import reduce
from importlib import import_module
from pathlib import Path

from qanat import plugins
from qanat.errors import QanatError
from qanat.model.event import EventRecord
from qanat.model.metrics import Columns, joined, together
from qanat.model.name import same
from qanat.model.pipeline import Dataset, DatasetKind
from qanat.model.portrait import ColumnSource, Made, Place, Portrait, place_of
from qanat.model.query import SourceRef, SqlQuery, dataset_ref
from qanat.model.record import EpochStatus
from qanat.model.schema import NO_COLUMNS, Schema
from qanat.model.staged import Counts
from qanat.planning.graph import resolve
from qanat.run.session import Session

OWNER = "owner"
"""The table property that says whom to ask about a dataset."""
_PAGE = 1000


class Portraits:
    """What observers may ask about a project (`qanat.ports.observer.Observed`)."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def project(self) -> str:
        """The project's name."""
        return self._session.project.name

    @property
    def environment(self) -> str:
        """The environment whose updates they are."""
        return self._session.project.environment

    @property
    def root(self) -> Path:
        """Absolute folder of the spec."""
        return self._session.root

    def events(self, update: str) -> Sequence[EventRecord]:
        """What an update has told, as far as the ledger has it."""
        found: list[EventRecord] = []
        while page := self._session.recorded.events(update, len(found), _PAGE):
            found += page
        return found

    def portrait(
        self, dataset: str, update: str | None = None, lineage: bool = True
    ) -> Portrait | None:
        """A dataset as it is declared now; None if it is not, or has no rows of its own.

        Args:
            update: then also what this update has done to it.
            lineage: whether to find out what its columns are made of, which takes a while.
        """
        declared = self._session.pipeline.get(dataset)
        if declared is None or declared.kind is DatasetKind.TEMPORARY_VIEW:
            return None
        session = self._session
        flows = session.analysis.flows_into(declared.name)
        reads = [read for flow in flows for read in flow.reads]
        # Rules read, too, what they compare with.
        compared = [dataset_ref(name) for flow in flows for name in flow.references]
        sources = [*(read.source for read in reads), *compared]
        places = self._places(sources)
        schemas = self._schemas(declared, sources)
        inputs = {
            place: self._columns(source, schemas) for source, place in places.items() if place
        }
        own = self._place(declared)
        queries = [f.query for f in session.pipeline.flows_into(declared.name)]
        texts = [query.text for query in queries if isinstance(query, SqlQuery)]
        return Portrait(
            declared.name,
            str(declared.kind),
            own,
            declared.sink.format if declared.sink else session.project.table_format,
            # A dataset that reads its own quarantine is not made of itself.
            {place: columns for place, columns in inputs.items() if place != own},
            schemas.get(declared.name, declared.schema),
            self._origins(declared, schemas, places) if lineage else {},
            ";\n".join(texts),
            session.project.dialect,
            declared.comment,
            tuple(filter(None, [declared.table_property(OWNER)])),
            tuple(declared.tags),
            any(read.streaming for read in reads),
            declared.expectations,
            place_of(session.table(declared.quarantine).location),
            None if update is None else self._made(declared, update),
        )

    # -- places --------------------------------------------------------------------------------

    def _place(self, dataset: Dataset) -> Place | None:
        if dataset.sink is not None:
            return self._located(dataset.sink.connector, "", dict(dataset.sink.options))
        return place_of(self._session.table(dataset.name).location)

    def _places(self, sources: Iterable[SourceRef]) -> dict[SourceRef, Place | None]:
        return {source: self._place_of(source) for source in sources}

    def _place_of(self, source: SourceRef) -> Place | None:
        session = self._session
        if source.dataset is not None:
            return place_of(session.readable(source.dataset).table.location)
        found = self._located(source.connector, source.place, dict(source.options))
        if found is not None:
            return found
        with suppress(QanatError):
            neighbour = session.source(source).neighbour(source)
            if neighbour is not None:
                return place_of(session.elsewhere(neighbour).table.location)
        return Place(source.connector, source.label)

    def _located(self, connector: str, place: str, options: Mapping[str, object]) -> Place | None:
        locate = plugins.connector(connector).locate
        if locate is None:
            return None
        found: Place = plugins.imported(locate)(place, options, self._session.root)
        return found

    # -- columns -------------------------------------------------------------------------------

    def _schemas(self, dataset: Dataset, sources: Iterable[SourceRef]) -> dict[str, Schema]:
        """The columns of a dataset and of the tables that it reads, where they are known."""
        found: dict[str, Schema] = {}
        for name in dict.fromkeys((dataset.name, *(s.dataset for s in sources if s.dataset))):
            known = resolve(self._session.pipeline, name)
            if known is None or not known.stored or not same(known.name, name):
                continue
            with suppress(QanatError):
                read = self._session.readable(known.name)
                if read.version is not None:
                    found[known.name] = read.store.snapshot(read.table).schema
        return found

    def _columns(self, source: SourceRef, schemas: Mapping[str, Schema]) -> Schema:
        known = resolve(self._session.pipeline, source.dataset) if source.dataset else None
        return schemas.get(known.name, known.schema) if known else NO_COLUMNS

    def _origins(
        self,
        dataset: Dataset,
        schemas: Mapping[str, Schema],
        places: Mapping[SourceRef, Place | None],
    ) -> dict[str, tuple[ColumnSource, ...]]:
        # Imported only here: with it comes the parser of SQL.
        module = import_module("qanat.planning.column_lineage")
        session = self._session
        found = module.direct_origins(session.pipeline, session.graph, schemas, dataset)
        made: dict[str, tuple[ColumnSource, ...]] = {}
        for column, ways in found.items():
            sources = dict.fromkeys(
                ColumnSource(place, str(origin.column), way.expression)
                for way in ways
                for origin in way.origins
                if origin.column is not None
                and (place := places.get(origin.read.source) or self._place_of(origin.read.source))
            )
            if sources:
                made[column] = tuple(sources)
        return made

    # -- what an update has done ---------------------------------------------------------------

    def _made(self, dataset: Dataset, update: str) -> Made:
        ledger = self._session.recorded
        epochs = [
            e
            for e in reversed(ledger.epochs(update=update, dataset=dataset.name, files=True))
            if e.status is EpochStatus.COMMITTED
        ]
        metrics = [m for m in ledger.metrics(dataset.name, _PAGE) if m.update == update]
        columns: Columns = {}
        for each in metrics:
            columns = joined(columns, each.columns) if columns else each.columns
        versions = [e.version for e in epochs if e.version is not None]
        return Made(
            sum((e.counts for e in epochs if e.counts is not None), Counts()),
            reduce(together, (e.rules for e in epochs), ()),
            len({f.path for e in epochs for r in e.ranges.values() for f in r.files}),
            sum(e.bytes_written or 0 for e in epochs),
            columns,
            max(versions, default=None),
            any(e.replaces for e in epochs),
        )
