"""What tells whether the data is good: expectations, and the history of metrics."""

from __future__ import annotations

from collections.abc import Sequence

from qanat.model.anomaly import Anomaly, Verdict
from qanat.model.comparison import SAMPLES, Comparing, Tolerance
from qanat.model.pipeline import Predicate
from qanat.model.unit_test import FOLDER, UnitResult
from qanat.project.selecting import Names, selection
from qanat.project.shown import Anomalies, Checks, Diff, MetricsHistory, Report, shown
from qanat.project.upkeep import run_module
from qanat.run.session import Session


class Quality:
    """The part of an opened project that tells whether its data is good."""

    def _current(self) -> Session:
        raise NotImplementedError

    def test(self, select: Names = ()) -> Checks:
        """Every expectation against the rows that the tables hold now, and all unit tests.

        Nothing is written: unit tests (`tests/*.yml`) are computed in a folder of their own.

        Raises:
            ProblemsError: the declarations, or the files of tests, are wrong.
            SelectionError: a name matches nothing.

        >>> project.test("silver_orders").passed
        True
        """
        session, chosen = self._current(), selection(select)
        units: tuple[UnitResult, ...] = ()
        if (session.root / FOLDER).is_dir():
            units = run_module("unit_tests").run_unit_tests(session, chosen)
        tested = [unit.dataset for unit in units]
        checks = Checks(run_module("expectations").check(session, chosen, tested))
        checks.units = units
        return checks

    def diff(
        self,
        left: str,
        right: str,
        *,
        keys: Sequence[str] = (),
        columns: Sequence[str] = (),
        ignore: Sequence[str] = (),
        tolerance: float = 0.0,
        relative_tolerance: float = 0.0,
        where: str | None = None,
        samples: int = SAMPLES,
    ) -> Diff:
        """Compare two tables by keys: rows only here, only there, and changed columns.

        Args:
            left, right: `table`, `table@3`, `environment:table`, the path of a file, a call such
                as `read_postgres('orders', url => '…')`, or a query.
            keys: columns that tell rows apart; default: those that are declared, or a column that
                is found to do so.
            columns: compare only these; default: all that both sides have.
            ignore: do not compare these.
            tolerance: numbers with a fraction are equal up to this distance,
            relative_tolerance: or up to this share of the larger one.
            where: only rows for which this condition, in the project's dialect, is true.
            samples: rows of each kind of difference.

        Raises:
            DatasetNotFoundError, TableNotFoundError: a side is not there.
            ColumnNotFoundError: a column is not there, or none tells rows apart.
            DeclarationError: a query or the condition does not fit.

        >>> diff = project.diff("silver_orders", "silver_orders@0", keys=["order_id"])
        >>> diff.same, diff.differences.changed
        (True, 0)
        """
        condition = None
        if where is not None:
            condition = Predicate(where, self._current().project.dialect)
        how = Comparing(
            keys=tuple(keys),
            columns=tuple(columns),
            ignored=tuple(ignore),
            tolerance=Tolerance(tolerance, relative_tolerance),
            where=condition,
            samples=samples,
        )
        return shown(Diff, run_module("diff").diff(self._current(), left, right, how))

    def report(self, update: str = "last", *, values: bool = False) -> Report:
        """An update with its rules, trends, anomalies and quarantined rows, to be written as HTML.

        Args:
            update: its identifier, as `history` gives it; default: the newest.
            values: show the values of quarantined rows, which may be personal data.

        Raises:
            UpdateNotFoundError: there is no such update.

        >>> project.report().html().startswith("<!doctype html>")
        True
        """
        return shown(Report, run_module("accounting").account(self._current(), update, values))

    def metrics(self, dataset: str, limit: int = 20) -> MetricsHistory:
        """What the newest updates have brought into a dataset, by flow, newest first.

        Rows, broken rules, bytes, and of each column how many values are NULL and between which
        bounds the others lie. Nothing is read for it but the ledger.

        Args:
            limit: entries at most.

        Raises:
            DatasetNotFoundError: no such dataset is declared, and none has epochs.

        >>> newest = project.metrics("silver_orders")[0]
        >>> newest.rows, newest.counts.quarantined, newest.columns["amount"].low
        (9, 3, 8.75)
        """
        return MetricsHistory(run_module("look").metrics(self._current(), dataset, limit))

    def anomalies(self, dataset: str | None = None, limit: int = 20) -> Anomalies:
        """What was out of the ordinary in past updates, newest first.

        Args:
            dataset: only in this one.
            limit: anomalies at most.

        Raises:
            DatasetNotFoundError: no such dataset is declared, and none has epochs.

        >>> project.anomalies().anomalies
        ()
        """
        found = run_module("watching").anomalies(self._current(), dataset, limit)
        return shown(Anomalies, found)

    def mark(
        self,
        dataset: str,
        verdict: str,
        metric: str | None = None,
        update: str | None = None,
    ) -> tuple[Anomaly, ...]:
        """Say of anomalies whether something was wrong; it is remembered.

        Args:
            verdict: `expected` (nothing was wrong: such values belong to the history) or
                `anomaly` (the values stay out of it).
            metric: only of this one; default: of all in that update.
            update: its identifier; default: the newest that has an anomaly of the dataset.

        Raises:
            DatasetNotFoundError: no such dataset is declared, and none has epochs.
            SelectionError: there is no such anomaly.
            ValueError: the verdict is neither of the two.

        Example:

            with qanat.open("shop") as project:
                project.mark("silver_orders", "expected", metric="rows")
        """
        said = Verdict(verdict)
        marked = run_module("watching").mark(self._current(), dataset, said, metric, update)
        return tuple(marked)
