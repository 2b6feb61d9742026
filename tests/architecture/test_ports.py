"""Every adapter is one of its port: `make lint` compares them here, method by method.

Adapters are found by name when they are used, where mypy sees nothing of them.
"""

from __future__ import annotations

from qanat import plugins
from qanat.connectors.files.sink import FilesSink
from qanat.connectors.files.source import FilesSource
from qanat.connectors.kafka.sink import KafkaSink
from qanat.connectors.kafka.source import KafkaSource
from qanat.connectors.postgres.sink import PostgresSink
from qanat.connectors.postgres.source import PostgresSource
from qanat.connectors.tables.source import DatasetSource, DeltaSource, ProjectSource
from qanat.engines.duckdb.engine import DuckDBEngine
from qanat.ledgers.sql.ledger import SqlLedger
from qanat.observe.cloudevents.lines import EventLines
from qanat.observe.cloudevents.webhook import Webhook
from qanat.observe.openlineage.observer import OpenLineage
from qanat.ports.engine import Engine
from qanat.ports.ledger import Ledger
from qanat.ports.observer import DeliveringObserver, Observed
from qanat.ports.sink import Sink
from qanat.ports.source import Source
from qanat.ports.store import TableStore
from qanat.run.portraits import Portraits
from qanat.storage.delta.store import DeltaStore
from qanat.storage.iceberg.store import IcebergStore

SOURCES: tuple[type[Source], ...] = (
    *(DatasetSource, FilesSource, ProjectSource, DeltaSource, PostgresSource),
    KafkaSource,
)
SINKS: tuple[type[Sink], ...] = (FilesSink, KafkaSink, PostgresSink)
ENGINES: tuple[type[Engine], ...] = (DuckDBEngine,)
STORES: tuple[type[TableStore], ...] = (DeltaStore, IcebergStore)
LEDGERS: tuple[type[Ledger], ...] = (SqlLedger,)
OBSERVERS: tuple[type[DeliveringObserver], ...] = (EventLines, OpenLineage, Webhook)
OBSERVED: type[Observed] = Portraits


def test_all_adapters_are_compared_with_their_ports() -> None:
    connectors = [plugins.connector(name) for name in plugins.BUILTIN["connectors"]]
    sources = {plugins.imported(c.source) for c in connectors if c.source}
    sinks = {plugins.imported(c.sink) for c in connectors if c.sink}
    engines = {plugins.imported(plugins.engine(n).engine) for n in plugins.BUILTIN["engines"]}
    formats = (plugins.table_format(n) for n in plugins.BUILTIN["formats"])
    stores = {plugins.imported(f.store) for f in formats}
    assert sources == set(SOURCES)
    assert sinks == set(SINKS)
    assert engines == set(ENGINES)
    assert stores == set(STORES)
    ledgers = (plugins.imported(kind) for kind in plugins.BUILTIN["ledgers"].values())
    assert all(issubclass(plugins.imported(k.ledger), LEDGERS) for k in ledgers)
    kinds = (plugins.observer_kind(name) for name in plugins.BUILTIN["observers"])
    assert {plugins.imported(kind.observer) for kind in kinds} == set(OBSERVERS)
