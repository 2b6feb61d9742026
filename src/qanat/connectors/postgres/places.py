"""Where tables of PostgreSQL are, as catalogs name it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from qanat.model.portrait import Place

_PORT = 5432


def place(written: str, options: Mapping[str, Any], root: Path) -> Place:
    """The place of a table; that of a query is its database.

    >>> url = "postgresql://ada:secret@db.example/shop"
    >>> place("sales.orders", {"url": url}, Path("/shop"))
    Place(namespace='postgres://db.example:5432', name='shop.sales.orders')
    >>> place("", {"url": url, "table": "orders"}, Path("/shop"))
    Place(namespace='postgres://db.example:5432', name='shop.public.orders')
    """
    del root
    parts = urlsplit(str(options.get("url", "")))
    # Several hosts are copies of one database.
    host, _, port = parts.netloc.rpartition("@")[2].split(",")[0].partition(":")
    namespace = f"postgres://{host or 'localhost'}:{port or _PORT}"
    database = parts.path.strip("/") or "postgres"
    table = written or str(options.get("table", ""))
    if any(c.isspace() for c in table.strip()):
        return Place(namespace, database)
    schema = "" if "." in table else "public."
    return Place(namespace, f"{database}.{schema}{table.strip()}")
