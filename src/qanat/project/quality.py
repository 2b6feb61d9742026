"""What tells whether the data is good: expectations, and the history of metrics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qanat.model.anomaly import Anomaly, Verdict
from qanat.model.backtest import BACKTESTED
from qanat.model.comparison import SAMPLES, Closeness, Comparing
from qanat.model.contract import ContractDiff
from qanat.model.expectation import Action
from qanat.model.rule import Predicate
from qanat.model.unit_test import FOLDER, UnitResult, WrittenTest
from qanat.project.selecting import Names, selection
from qanat.project.shown import (
    Anomalies,
    Backtests,
    Checks,
    Diff,
    MetricsHistory,
    Profile,
    Profiles,
    Report,
    Suggestions,
    shown,
)
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

    def export_contract(self, dataset: str, version: str = "1.0.0") -> str:
        """A contract of the Open Data Contract Standard for a dataset as it is declared, as YAML.

        Args:
            version: of the contract.

        Raises:
            DatasetNotFoundError: no such dataset is declared.
            ProblemsError: the declarations are wrong.

        >>> print(project.export_contract("silver_orders").splitlines()[1])
        kind: DataContract
        """
        module = run_module("contract")
        return str(module.export_contract(self._current(), dataset, version))

    def compare_contracts(self, old: str | Path, new: str | Path) -> ContractDiff:
        """What breaks those who rely on the old version of a contract, and what does not.

        Args:
            old, new: files of the Open Data Contract Standard.

        Raises:
            ProblemsError, SpecError: one is not as the standard has it, or cannot be read.

        >>> contract = project.root / "silver.odcs.yaml"
        >>> _ = contract.write_text(project.export_contract("silver_orders"))
        >>> project.compare_contracts(contract, contract).breaks
        False
        """
        found: ContractDiff = run_module("contract").compare_contracts(
            self._current(), Path(old), Path(new)
        )
        return found

    def record_test(
        self, dataset: str, *, where: str | None = None, limit: int = 5, mask: Names = ()
    ) -> WrittenTest:
        """Write a unit test of a dataset from rows of its inputs, with personal data masked.

        It goes into `tests`, and passes at once: what is expected is what the dataset's query
        makes of the masked rows. Columns are masked by their names (email, phone, name, iban, …),
        by comments that call them personal, and by `mask`; addresses and numbers that look
        personal are masked in all texts.

        Args:
            where: a condition on rows of the first input, in the project's dialect.
            limit: rows of that input, at most; of the others, those that join to them.
            mask: columns that are masked whatever their names are.

        Raises:
            DatasetNotFoundError: no such dataset is declared.
            PlanError: it is a sink, or reads something that is no table of the project.
            RunError: no row was chosen, or the query gives other rows each time.

        Example:

            with qanat.open("shop") as project:
                project.record_test("silver_orders", where="amount > 100", limit=3)
        """
        masked = (mask,) if isinstance(mask, str) else tuple(mask)
        record = run_module("recording").record_test
        written: WrittenTest = record(self._current(), dataset, where, limit, masked)
        return written

    def backtest(
        self, select: Names = (), *, updates: int = BACKTESTED, changed: bool = False
    ) -> Backtests:
        """What the checks of datasets would have done with the rows of past updates.

        Nothing is written. An update is an epoch here, one commit of the table.

        Args:
            updates: how many of the newest, at most.
            changed: only checks that are new, or declared otherwise than at the last update.

        Raises:
            ProblemsError: the declarations are wrong.
            SelectionError: a name matches nothing.

        >>> tried = project.backtest("silver_orders", updates=30)[0]
        >>> [(each.expectation.name, each.violations) for each in tried.checks][1:3]
        [('positive_amount', 1), ('known_customer', 1)]
        """
        session, chosen = self._current(), selection(select)
        return Backtests(run_module("backtest").backtests(session, chosen, updates, changed))

    def suggest(
        self,
        select: Names = (),
        *,
        action: str = "warn",
        held_out: int | None = None,
        apply: bool = False,
    ) -> Suggestions:
        """Checks that tables suggest: by their older rows, each tried on the newest epochs.

        What the declared checks say already is not suggested. Where a table has only one epoch,
        its last rows are held out.

        Args:
            action: of the checks: `warn`, `drop`, `quarantine` or `fail`. Those that tolerate some
                rows, and those about the table, keep to `warn` where rows would be moved.
            held_out: newest epochs to try candidates on; default: a quarter of those known.
            apply: write the checks that are offered into `checks/<dataset>.yml`.

        Raises:
            ProblemsError: the declarations are wrong.
            SelectionError: a name matches nothing.
            ValueError: there is no such action.

        >>> found = project.suggest("silver_orders")[0]
        >>> found.offered, found.note
        ((), '5 rows, and it takes 39')
        """
        session, chosen, done = self._current(), selection(select), Action(action)
        module = run_module("suggest")
        return Suggestions(module.suggest(session, chosen, done, held_out, apply))

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
            tolerance=Closeness(tolerance, relative_tolerance),
            where=condition,
            samples=samples,
        )
        return shown(Diff, run_module("diff").diff(self._current(), left, right, how))

    def profile(
        self,
        name: str,
        *,
        columns: Sequence[str] = (),
        where: str | None = None,
        version: int | None = None,
        update: str | None = None,
    ) -> Profile:
        """Describe the columns of a table, of files or of a query: all of its rows are read.

        NULLs, distinct values, bounds, quantiles, histograms, frequent values, patterns, columns
        that go together and those that tell rows apart, in bounded memory.

        Args:
            name: `table`, `table__quarantine`, `table@3`, `environment:table`, the path of a file
                or a glob, a call such as `read_postgres('orders', url => '…')`, or a query.
            columns: only these, in this order; default: all.
            where: only rows for which this condition, in the project's dialect, is true.
            version: of the table; default: the newest.
            update: instead of all that, the profile that this update has kept of a dataset (table
                property `qanat.profile`); `last` is the newest that has one.

        Raises:
            DatasetNotFoundError, TableNotFoundError: it is not there, or has no such version.
            ColumnNotFoundError: it has no such column.
            DeclarationError: the query or the condition does not fit.
            UpdateNotFoundError: that update has kept none.

        >>> profile = project.profile("silver_orders")
        >>> profile["order_id"].distinct, profile["order_id"].hints[0]
        (5, 'all distinct')
        """
        if update is not None:
            kept = run_module("profiles").kept_profile(self._current(), name, update)
            return shown(Profile, kept)
        run = run_module("profile").profile
        return shown(Profile, run(self._current(), name, columns, where, version))

    def profiles(self, dataset: str, limit: int = 20) -> Profiles:
        """The profiles that updates have kept of a dataset, newest first.

        Args:
            limit: profiles at most.

        Raises:
            DatasetNotFoundError: no such dataset is declared, and none has epochs.

        >>> len(project.profiles("silver_orders"))  # without the table property `qanat.profile`
        0
        """
        found = run_module("profiles").kept_profiles(self._current(), dataset, limit)
        return Profiles(shown(Profile, each) for each in found)

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
