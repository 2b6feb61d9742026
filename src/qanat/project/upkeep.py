"""What keeps a project in order: maintenance, other names, removals; and exports for catalogs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

from qanat.ports.observer import Observer
from qanat.project.shown import Maintenance, Paused, Renaming, shown
from qanat.run.session import Session


class Upkeep:
    """The part of an opened project that keeps it in order."""

    def _current(self) -> Session:
        raise NotImplementedError

    def maintain(
        self,
        *datasets: str,
        dry_run: bool = False,
        wait: float | bool = False,
        observers: Sequence[Observer] = (),
    ) -> Maintenance:
        """Write small files again as larger ones, and delete old files and log entries.

        No row changes. Files and versions that a stream has still to read stay.

        Args:
            datasets: only these, with their quarantines; default: all.
            dry_run: only look; nothing is written.
            wait: seconds to wait for updates of these datasets; True: as long as it takes.

        Raises:
            SelectionError: a name matches nothing.
            UpdateRunningError: an update works on one of the datasets.

        >>> maintenance = project.maintain("silver_orders", dry_run=True)
        >>> [(table.table, table.compacted) for table in maintenance.tables]
        [('silver_orders', 0), ('silver_orders__quarantine', 0)]
        """
        found = run_module("upkeep").maintain(self._current(), datasets, observers, wait, dry_run)
        return shown(Maintenance, found)

    def export_openlineage(
        self, update: str | None = None, *, namespace: str = "qanat"
    ) -> Iterator[dict[str, Any]]:
        """The documents of OpenLineage for catalogs that take them from a file.

        Args:
            update: what this one did, by its identifier or `last`; default: what is declared, as
                events about datasets and jobs that need no run.
            namespace: of the jobs.

        Raises:
            ProblemsError: the declarations are wrong.
            UpdateNotFoundError: there is no such update.

        >>> [each["job"]["name"] for each in project.export_openlineage() if "job" in each][0]
        'shop/dev/bronze_orders'
        """
        # Imported only here: with it come the documents.
        openlineage = import_module("qanat.report.openlineage").openlineage
        yield from openlineage(self._current(), update, namespace)

    def pause(self, *datasets: str, reason: str = "") -> Paused:
        """Let no update work on datasets until `resume`; an epoch that has begun comes to its end.

        What reads them goes on with the rows that are there. A full refresh that names a dataset
        computes it all the same.

        Args:
            datasets: to pause; none: only ask which ones are paused.
            reason: half a sentence, for those who find them paused.

        Returns:
            All that are paused.

        Raises:
            DatasetNotFoundError: one is not declared, or is a temporary view.

        >>> (pause,) = project.pause("silver_orders", reason="to look at it")
        >>> pause.dataset, pause.reason
        ('silver_orders', 'to look at it')
        """
        module, session = run_module("pausing"), self._current()
        found = module.pause(session, datasets, reason) if datasets else module.paused(session)
        return Paused(found)

    def resume(self, *datasets: str) -> tuple[str, ...]:
        """Let updates work again on datasets that are paused; none: on all. Which ones that were.

        Raises:
            DatasetNotFoundError: one is neither declared nor paused.

        >>> project.resume()
        ('silver_orders',)
        """
        return tuple(run_module("pausing").resume(self._current(), datasets))

    def rename(
        self, old: str, new: str, observers: Sequence[Observer] = (), wait: float | bool = False
    ) -> Renaming:
        """Let what a dataset, flow or source has be another name's: table, quarantine, positions,
        history, and what others have read of it. Change the name in the files first.

        Args:
            old: as it was last run; of a source: its path or table.
            new: as it is declared now, or will be.
            wait: seconds to wait for other updates, of any datasets; True: as long as it takes.

        Raises:
            DatasetNotFoundError: nothing of the old name was ever run; names the nearest.
            PlanError: the old name is still declared, or the new one has a table or history.
            UpdateRunningError: an update is running.

        >>> for file in (project.root / "transformations").glob("*.sql"):
        ...     n = file.write_text(file.read_text().replace("bronze_orders", "raw_orders"))
        >>> print(project.rename("bronze_orders", "raw_orders"))
        bronze_orders is called raw_orders now, with its table, quarantine, positions and history.
        >>> project.run("raw_orders").datasets[0].status, len(project.table("raw_orders"))
        ('unchanged', 9)
        """
        found = run_module("rename").rename(self._current(), old, new, observers, wait)
        return shown(Renaming, found)

    def drop(
        self, name: str, observers: Sequence[Observer] = (), wait: float | bool = False
    ) -> Renaming:
        """Remove a dataset that is no longer declared, with its table, quarantine and positions.

        Nobody is asked. What a sink has sent stays, and so do the updates in the history. `wait`
        is as for `rename`.

        Raises:
            DatasetNotFoundError: no dataset of that name was ever run; names the nearest.
            PlanError: it is still declared.
            UpdateRunningError: an update is running.

        >>> (project.root / "transformations" / "ranking.py").unlink()
        >>> print(project.drop("ranking"))
        ranking is dropped, with its table, quarantine and positions.
        """
        return shown(Renaming, run_module("drop").drop(self._current(), name, observers, wait))


def run_module(name: str) -> Any:
    """A module of `qanat.run`, imported when it is first used: most need what others do not."""
    return import_module(f"qanat.run.{name}")
