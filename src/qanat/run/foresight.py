"""What a plan foresees of columns: mistakes in queries and rules, and columns that will widen.

An update finds out while it reads: the first value that does not fit decides. A plan looks at the
heads of the files that are unread, so that a value further on may surprise it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module

from qanat.errors import Problems
from qanat.model.name import Named
from qanat.model.pipeline import Dataset, DatasetKind
from qanat.model.record import Definition, Range
from qanat.model.schema import Schema
from qanat.run.columns import as_stored, columns_above
from qanat.run.decide import Decision, DefinitionStatus, Step, refused
from qanat.run.drift import widenings
from qanat.run.inputs import will_change
from qanat.run.session import Session


@dataclass(slots=True)
class Foresight:
    """What is foreseen of the datasets that a plan has come to.

    Args:
        definitions: of all datasets, as last run.
        decided: what the update does with them, by name; the plan adds to it.
        columns: by dataset, those that its table will have, if they may be others than it has;
            None if nothing tells them.
    """

    session: Session
    definitions: Named[Definition]
    decided: Mapping[str, Decision]
    columns: Named[Schema | None] = field(default_factory=Named)

    def checked(self, decision: Decision) -> Decision:
        """A decision, refused if its dataset's declaration is wrong.

        What the table's columns will be is a consequence.
        """
        session = self.session
        dataset = session.pipeline.get(decision.dataset)
        if dataset is None or not decision.step.works or not self._may_differ(dataset, decision):
            return decision
        # A table that starts over need not be fitted.
        anew = decision.step is Step.FULL_REFRESH
        before = None if anew else self.definitions.get(dataset.name)
        above = columns_above(session, dataset, self._columns)
        # Imported only here: a plan without news need not load the parser.
        check = import_module("qanat.run.mistakes").check
        found = check(session, dataset, above, before, self._takes(decision))
        if found.problems:
            return refused(decision, Problems(found.problems).as_one())
        table = session.table(dataset.name)
        if not dataset.stored or session.store.version(table) is None:
            self.columns[dataset.name] = found.schema
            return decision
        stored = session.store.snapshot(table)
        if found.schema == stored.schema:
            return decision
        self.columns[dataset.name] = found.schema
        if found.schema is None or anew or dataset.kind is not DatasetKind.STREAMING_TABLE:
            return decision
        messages = widenings(stored, found.schema, "are")
        consequence = "; ".join(filter(None, (decision.consequence, *messages)))
        return replace(decision, consequence=consequence)

    def _may_differ(self, dataset: Dataset, decision: Decision) -> bool:
        """True if a dataset may be wrong, or get other columns, though it was run before."""
        if decision.definition is not DefinitionStatus.UNCHANGED:
            return True
        taking = {t.flow for t in decision.takes}
        flows = self.session.analysis.flows_into(dataset.name)
        # Files, databases and topics may have other columns than they had.
        outside = any(
            read.source.dataset is None
            for flow in flows
            if flow.flow.name in taking
            for read in flow.reads
        )
        above = self.session.graph.upstream(dataset.name)
        return outside or any(name in above for name in self.columns)

    def _takes(self, decision: Decision) -> Mapping[str, Mapping[str, Range]]:
        """The flows that the update comes to, with what they read as far as it is there."""
        known = {t.flow: t.ranges for t in decision.takes}
        return {
            c.flow.name: known.get(c.flow.name, {})
            for c in self.session.analysis.flows_into(decision.dataset)
            if c.flow.name in known
            or any(will_change(self.session, r, self.decided) for r in c.reads)
        }

    def _columns(self, dataset: Dataset, above: Named[Schema]) -> Schema | None:
        """The columns that a dataset will have once the update has come past it."""
        if dataset.name in self.columns:
            return self.columns[dataset.name]
        before = self.definitions.get(dataset.name)
        return as_stored(self.session, dataset, above, before)
