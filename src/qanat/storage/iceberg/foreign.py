"""Any other catalog that pyiceberg can open: REST, Hive, Glue, a database, …"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import (
    CommitFailedException,
    CommitStateUnknownException,
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
    NotInstalledError,
    RESTError,
    TableAlreadyExistsError,
)
from pyiceberg.table import Table

from qanat.errors import AdapterError, MissingExtraError, OptionError
from qanat.model.table import TableRef
from qanat.storage.iceberg.catalog import Registered
from qanat.storage.iceberg.draft import Draft
from qanat.storage.iceberg.history import History

_NAMED = ("type", "uri", "warehouse", "credential", "token")


class ForeignCatalog:
    """A catalog that others run.

    Args:
        options: as `OPTIONS` declares them.
    """

    def __init__(self, options: Mapping[str, Any], namespace: str) -> None:
        self._name = str(options.get("catalog") or "qanat")
        self._namespace = namespace
        given = {k: str(options[k]) for k in _NAMED if options.get(k)}
        given.update(_pairs(str(options.get("properties") or "")))
        given.setdefault("py-io-impl", "qanat.storage.iceberg.disk.DurableIO")
        with self._told():
            self._catalog: Catalog = load_catalog(self._name, **given)

    def find(self, table: TableRef) -> Registered | None:
        """The table; None if there is none of that name.

        Raises:
            AdapterError: there is one, in another place.
        """
        with self._told():
            try:
                found = self._catalog.load_table(self._identifier(table))
            except (NoSuchTableError, NoSuchNamespaceError):
                return None
        place = found.metadata.location.rstrip("/")
        if place.removeprefix("file://") != table.location.rstrip("/").removeprefix("file://"):
            raise AdapterError(
                f"the catalog {self._name} has {table.name} in another place",
                wanted=table.location,
                got=place,
                hint="give this project a namespace of its own (storage_options: namespace)",
            )
        return self._registered(found)

    def tables(self) -> Sequence[TableRef]:
        """All tables of the namespace."""
        with self._told():
            try:
                names = self._catalog.list_tables((self._namespace,))
            except NoSuchNamespaceError:
                return []
            found = [self._catalog.load_table(name) for name in names]
        return [TableRef(t.metadata.location.rstrip("/"), t.name()[-1]) for t in found]

    def create(self, table: TableRef, schema: Any, properties: Mapping[str, str]) -> None:
        """Register a table without a snapshot, unless another process has just done so."""
        with self._told():
            with suppress(NamespaceAlreadyExistsError):
                self._catalog.create_namespace((self._namespace,))
            with suppress(TableAlreadyExistsError):
                self._catalog.create_table(
                    self._identifier(table),
                    schema,
                    location=table.location,
                    properties=dict(properties),
                )

    def commit(self, table: TableRef, base: Registered, draft: Draft) -> bool:
        """Exchange a table's metadata; False if it is no longer that which the draft builds on."""
        with self._told():
            try:
                self._catalog.commit_table(base.handle, draft.requirements, draft.updates)
            except CommitFailedException:
                return False
        return True

    def remove(self, table: TableRef, base: Registered) -> None:
        """Forget a table, unless it is another than it was.

        Raises:
            AdapterError: it is in another place, or the catalog refuses.
        """
        now = self.find(table)
        if now is not None and now.metadata_location == base.metadata_location:
            with self._told(), suppress(NoSuchTableError):
                self._catalog.drop_table(self._identifier(table))

    def secure(self) -> None:
        """Nothing: what such a catalog has acknowledged is its own to keep."""

    def _registered(self, found: Table) -> Registered:
        metadata = json.loads(found.metadata.model_dump_json(by_alias=True))
        return Registered(found.metadata_location, History(metadata), handle=found)

    def _identifier(self, table: TableRef) -> tuple[str, str]:
        return (self._namespace, table.name)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what a catalog says into an error of ours."""
        try:
            yield
        except NotInstalledError as error:
            # pyiceberg says which of its own extras it needs.
            command = re.search(r"pip install .+", str(error))
            raise MissingExtraError(
                f"the catalog {self._name} needs another package",
                got=str(error),
                hint=command and command[0],
            ) from error
        except CommitStateUnknownException as error:
            raise AdapterError(
                f"the catalog {self._name} did not say whether a commit happened",
                got=str(error),
                hint="run again: what it took is not committed twice",
            ) from error
        except (RESTError, OSError, ValueError) as error:
            raise AdapterError(f"cannot use the catalog {self._name}", got=str(error)) from error


def _pairs(text: str) -> dict[str, str]:
    """`name=value; name=value` as a dictionary.

    >>> _pairs("s3.region=eu-west-1; s3.endpoint=http://localhost:1")
    {'s3.region': 'eu-west-1', 's3.endpoint': 'http://localhost:1'}
    """
    found = {}
    for part in filter(None, (p.strip() for p in text.split(";"))):
        name, equals, value = part.partition("=")
        if not equals:
            raise OptionError(
                "the option 'properties' of the storage format 'iceberg' does not fit",
                wanted="name=value; name=value",
                got=part,
            )
        found[name.strip()] = value.strip()
    return found
