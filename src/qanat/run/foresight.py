"""What a plan foresees of types: columns that will widen, and what is written again for it.

An update finds out while it reads: the first value that does not fit decides. A plan looks at the
heads of the files that are unread, so that a value further on may surprise it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from qanat.errors import QanatError
from qanat.model.name import Named
from qanat.model.pipeline import Dataset, DatasetKind
from qanat.model.record import Definition
from qanat.model.schema import Schema
from qanat.run.columns import describe
from qanat.run.decide import Decision
from qanat.run.drift import widenings
from qanat.run.session import Session


@dataclass(slots=True)
class Foresight:
    """What is foreseen of the datasets that a plan has come to.

    Args:
        definitions: of all datasets, as last run.
        wider: by dataset, the columns of tables that will widen.
    """

    session: Session
    definitions: Named[Definition]
    wider: Named[Schema] = field(default_factory=Named)

    def with_widening(self, decision: Decision) -> Decision:
        """A decision, with what its table's columns will be as a consequence."""
        dataset = self.session.pipeline.get(decision.dataset)
        if dataset is None or not self._may_widen(dataset, decision):
            return decision
        try:
            found = self._widenings(dataset, decision)
        except QanatError:
            return decision  # the update tells what is wrong with what it reads
        consequence = "; ".join(filter(None, (decision.consequence, *found)))
        return replace(decision, consequence=consequence)

    def _may_widen(self, dataset: Dataset, decision: Decision) -> bool:
        """True if a streaming table will take files, or rows of a table that widens."""
        if dataset.kind is not DatasetKind.STREAMING_TABLE or not decision.step.works:
            return False
        if any(t.replaces for t in decision.takes):
            return False
        files = any(r.files for t in decision.takes for r in t.ranges.values())
        above = self.session.graph.upstream(dataset.name)
        return files or any(name in above for name in self.wider)

    def _widenings(self, dataset: Dataset, decision: Decision) -> list[str]:
        session = self.session
        table = session.table(dataset.name)
        if session.store.version(table) is None:
            return []
        takes = {t.flow: t.ranges for t in decision.takes}
        if not takes:
            # Its input comes from datasets that are updated before it.
            takes = {f.name: {} for f in session.pipeline.flows_into(dataset.name)}
        before = self.definitions.get(dataset.name)
        found = describe(session, dataset, self._known(dataset), before, takes).schema
        if found is None:
            return []
        messages = list(widenings(session.store.snapshot(table), found, "are"))
        if messages:
            self.wider[dataset.name] = found
        return messages

    def _known(self, dataset: Dataset) -> Named[Schema]:
        """The columns of the datasets above one, as they will be."""
        session = self.session
        known: Named[Schema] = Named()
        above = session.graph.upstream(dataset.name)
        for name in (n for n in session.graph.order if n in above):
            schema = self.wider.get(name)
            each = session.pipeline.dataset(name)
            if schema is None and each.stored:
                read = session.readable(name)
                if read.version is not None:
                    schema = read.store.snapshot(read.table).schema
            if schema is None:
                schema = describe(session, each, known, self.definitions.get(name)).schema
            if schema is not None:
                known[name] = schema
        return known
