"""A project: what the spec says, with its environment applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from qanat.model.dataset import Drift


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with a spec, as one environment sees it.

    Args:
        root: absolute folder of the spec; relative paths in queries start here.
        spec: absolute path of the spec file.
        storage: absolute folder below which tables and the ledger live.
        libraries: globs of transformation files, relative to `root`, as written.
        environment: name of the environment (`dev` unless told).
        ledger: database URL (`postgresql://…`), or None for SQLite below `storage`.
        storage_options: what the table format wants to know, such as where its catalog is.
        memory_limit: bytes the engine may hold before it spills, or None: a share of memory.
        threads: cores to use, or None: all that the process may use.
        retries: how often a retryable step is tried again.
    """

    name: str
    root: Path
    spec: Path
    storage: Path
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

    @property
    def tables(self) -> Path:
        """Where the tables are, a folder for each."""
        return self.storage / "tables"

    @property
    def private(self) -> Path:
        """Ledger, locks, logs and scratch space: Qanat's own."""
        return self.storage / "_qanat"
