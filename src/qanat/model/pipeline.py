"""What an author declares: datasets, flows, the project, and all of it together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from qanat.errors import Location
from qanat.frozen import Frozen
from qanat.model.changes import Changes
from qanat.model.contract import Note, Promise
from qanat.model.expectation import Expectation
from qanat.model.function import UserFunction
from qanat.model.location import is_url
from qanat.model.name import Named, Names, fold, same
from qanat.model.observer import DeclaredObserver
from qanat.model.query import Query
from qanat.model.schema import NO_COLUMNS, Schema

if TYPE_CHECKING:
    from qanat.model.schedule import Schedule

TRIGGER_INTERVAL = "pipelines.trigger.interval"
"""The table property that says how much time lies between two epochs of a continuous update."""
TAGS = "qanat.tags"
"""The table property that has the words by which a dataset is found, with commas in between."""
GROUP = "qanat.group"
"""The table property that says with which other datasets an orchestrator updates a dataset."""
RESET_ALLOWED = "pipelines.reset.allowed"
"""The table property that, with the value `false`, protects a table from full refreshes."""


QUARANTINE = "__quarantine"
"""How the names of quarantine tables end."""


class DatasetKind(StrEnum):
    """What a dataset is."""

    STREAMING_TABLE = "streaming table"
    MATERIALIZED_VIEW = "materialized view"
    TEMPORARY_VIEW = "temporary view"
    SINK = "sink"


class Drift(StrEnum):
    """What happens when a source's columns change (table property `qanat.schema_drift`)."""

    EVOLVE = "evolve"
    """New columns join the table; missing ones are NULL; inferred types widen."""
    FREEZE = "freeze"
    """A new column fails the dataset."""
    RESCUE = "rescue"
    """Values of unexpected columns go to `_rescued_data` as JSON."""


ON_ROW_ERROR = "qanat.on_row_error"


class OnRowError(StrEnum):
    """What becomes of a row that a query cannot compute (table property `qanat.on_row_error`)."""

    QUARANTINE = "quarantine"
    """The row goes to quarantine as `_failed`, if the query computes row by row."""
    FAIL = "fail"
    """The dataset fails."""


class SinkTarget(Frozen):
    """Where a sink writes.

    Args:
        format: `parquet`, `csv`, `json`, …
        options: by canonical name: `path`, …
        connector: whose format it is.
        written: the options with a `${key}` of the configuration in them, as they were written.
    """

    format: str
    options: tuple[tuple[str, Any], ...]
    connector: str = "files"
    written: tuple[tuple[str, str], ...] = field(default=(), repr=False)


class Dataset(Frozen):
    """One declared dataset. Its queries are the flows that target it.

    Args:
        name: as declared, without the project's own catalog and schema in front.
        schema: declared columns (empty: take them from the query).
        properties: TBLPROPERTIES, in order.
        keys: columns that identify a row of a streaming table; empty: its rows are only added.
    """

    name: str
    kind: DatasetKind
    location: Location
    schema: Schema = NO_COLUMNS
    expectations: tuple[Expectation, ...] = ()
    partition_by: tuple[str, ...] = ()
    cluster_by: tuple[str, ...] = ()
    comment: str | None = None
    properties: tuple[tuple[str, str], ...] = ()
    sink: SinkTarget | None = None
    keys: tuple[str, ...] = ()

    @property
    def quarantine(self) -> str:
        """The name of the quarantine table."""
        return self.name + QUARANTINE

    @property
    def stored(self) -> bool:
        """True if the dataset has a table of its own."""
        return self.kind in (DatasetKind.STREAMING_TABLE, DatasetKind.MATERIALIZED_VIEW)

    @property
    def may_reset(self) -> bool:
        """True if a full refresh may replace its rows, as its author says."""
        return fold(self.table_property(RESET_ALLOWED) or "true") != "false"

    @property
    def tags(self) -> Names:
        """The words that it may be found by, as its property `qanat.tags` has them."""
        listed = (self.table_property(TAGS) or "").split(",")
        return Names(tag.strip() for tag in listed if tag.strip())

    def table_property(self, name: str) -> str | None:
        """The value of a table property, whose name may be written in any case; or None."""
        return next((v for k, v in self.properties if same(k, name)), None)


class Flow(Frozen):
    """A query that feeds one dataset.

    Args:
        name: unique in the project; a dataset's own query is a flow of the dataset's name.
        target: name of the dataset it feeds.
        once: run a single time, over all that is there then, and never again (`INSERT INTO
            ONCE`), for backfills.
        changes: how its rows change the target; None: they are added to it.
    """

    name: str
    target: str
    query: Query
    location: Location
    once: bool = False
    changes: Changes | None = None

    @property
    def application(self) -> str:
        """By what name a table's log counts this flow's commits (`Commit.application`)."""
        return application(self.name)


_OURS = "qanat:"


def application(flow: str) -> str:
    """By what name a table's log counts the commits of a flow of that name."""
    return _OURS + flow


def flow_of(application: str) -> str:
    """The flow whose commits a table's log counts by that name.

    >>> flow_of(application("silver"))
    'silver'
    """
    return application.removeprefix(_OURS)


_REPLAY = "::replay"


def replay_flow(dataset: str) -> str:
    """The name under which the ledger knows a dataset's replays."""
    return dataset + _REPLAY


def is_replay(flow: str) -> bool:
    """True if a flow's epochs are replays.

    >>> is_replay(replay_flow("silver"))
    True
    """
    return flow.endswith(_REPLAY)


_UPKEEP = "::maintain"


def upkeep_flow(dataset: str) -> str:
    """The name under which the ledger knows the maintenance of a dataset's tables."""
    return dataset + _UPKEEP


def is_upkeep(flow: str) -> bool:
    """True if a flow's epochs are maintenance, which changes no row."""
    return flow.endswith(_UPKEEP)


def is_declared(flow: str) -> bool:
    """True if a flow is an author's: its epochs are neither replays nor maintenance.

    >>> is_declared("silver"), is_declared(replay_flow("silver"))
    (True, False)
    """
    return not (is_replay(flow) or is_upkeep(flow))


class ProjectSpec(Frozen):
    """What the spec of a project says, as one environment sees it.

    Args:
        root: absolute folder of the spec; relative paths in queries start here.
        spec: absolute path of the spec file.
        storage: below which the tables are: an absolute folder, or the URL of an object store.
        libraries: globs of transformation files, relative to `root`, as written.
        environment: name of the environment (`dev` unless told).
        ledger: database URL (`postgresql://…`), or None for SQLite in `private`.
        storage_options: what the table format wants to know, such as where its catalog is.
        memory_limit: bytes the engine may hold before it spills, or None: a share of memory.
        threads: cores to use, or None: all that the process may use.
        retries: how often what failed and may succeed later is tried again.
        reads_from: the same project in the environment whose tables are read where this one has
            none of its own; never written to.
        sinks: whether sinks are sent to.
        environments: the names of all that the spec has.
        allowed_folders: absolute folders; files elsewhere may not be read or written by queries,
            apart from the storage's. None: any may.
        senders: by name, the configuration of each other environment that sends to sinks.
        observers: who else is told of what updates do.
        reports: the folder for pages of updates, of which the newest `keep_reports` stay.
        schedules: when which datasets are updated by `qanat serve`.
        pools: how many runs of schedules may work at a time, by name of a pool.
    """

    name: str
    root: Path
    spec: Path
    storage: str
    libraries: tuple[str, ...]
    dialect: str = "duckdb"
    environment: str = "dev"
    catalog: str | None = None
    schema: str | None = None
    configuration: Mapping[str, str] = field(default_factory=dict)
    ledger: str | None = None
    engine: str = "duckdb"
    table_format: str = "delta"
    storage_options: Mapping[str, str] = field(default_factory=dict)
    memory_limit: int | None = None
    threads: int | None = None
    retries: int = 3
    schema_drift: Drift = Drift.EVOLVE
    reads_from: ProjectSpec | None = None
    sinks: bool = True
    environments: tuple[str, ...] = ("dev",)
    allowed_folders: tuple[str, ...] | None = None
    senders: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    observers: tuple[DeclaredObserver, ...] = ()
    reports: Path | None = None
    keep_reports: int = 30
    schedules: tuple[Schedule, ...] = ()
    pools: Mapping[str, int] = field(default_factory=dict)

    @property
    def tables(self) -> str:
        """Where the tables are, a folder for each."""
        return f"{self.storage}/tables"

    @property
    def private(self) -> Path:
        """Ledger, locks, logs and scratch space, Qanat's own: always on this machine."""
        if is_url(self.storage):
            # delta-rs 1.6 unescapes a `%2F` in the name of a folder and looks elsewhere.
            return self.root / ".qanat" / quote(self.storage, safe="").replace("%", "+")
        return Path(self.storage) / "_qanat"


class Pipeline(Frozen):
    """The datasets and flows of a project, in the order they were declared.

    Args:
        functions: those of the project that its SQL can call.
        promises: what data contracts say of its datasets.
        notes: what of the contracts is not checked.
    """

    project: ProjectSpec
    datasets: tuple[Dataset, ...]
    flows: tuple[Flow, ...]
    functions: tuple[UserFunction, ...] = ()
    promises: tuple[Promise, ...] = ()
    notes: tuple[Note, ...] = ()
    _by_name: Named[Dataset] = field(init=False, repr=False, compare=False)
    _by_target: Named[list[Flow]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = Named((d.name, d) for d in reversed(self.datasets))
        flows: Named[list[Flow]] = Named()
        for flow in self.flows:
            flows.setdefault(flow.target, []).append(flow)
        object.__setattr__(self, "_by_name", names)
        object.__setattr__(self, "_by_target", flows)

    @property
    def own(self) -> frozenset[str]:
        """The names of its functions, in lower case."""
        return frozenset(fold(f.name) for f in self.functions)

    def get(self, name: str) -> Dataset | None:
        """The dataset of that name, compared without case; None if there is none."""
        return self._by_name.get(name)

    def dataset(self, name: str) -> Dataset:
        """The dataset of that name.

        Raises:
            KeyError: there is none.
        """
        return self._by_name[name]

    def flows_into(self, dataset: str) -> Iterator[Flow]:
        """The flows that feed a dataset."""
        return iter(self._by_target.get(dataset, ()))
