"""Sends the documents of updates to a server, or writes them to a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from qanat.disk import append_line
from qanat.http import Poster
from qanat.model.observer import Told
from qanat.model.upkeep import parse_duration
from qanat.observe.openlineage.documents import Documents
from qanat.observe.openlineage.names import NAMESPACE
from qanat.ports.observer import Observed

_TIMEOUT = "10 seconds"
_ENDPOINT = "/api/v1/lineage"
_HEADERS = {"Content-Type": "application/json"}


class OpenLineage:
    """An observer that tells updates in OpenLineage's documents; see `OPENLINEAGE` for options."""

    def __init__(self, name: str, options: Mapping[str, Any], observed: Observed) -> None:
        del name
        self._documents = Documents(observed, options.get("namespace", NAMESPACE))
        self._path = observed.root / options["path"] if "path" in options else None
        self._poster = None if "url" not in options else _poster(options, observed)

    def deliver(self, told: Told) -> None:
        """Send what an event tells: one document, several or none.

        Raises:
            UndeliveredError: the server cannot be reached, or does not take one.
            OSError: the disk refuses it.
        """
        for document in self._documents.of(told):
            text = json.dumps(document)
            if self._path is not None:
                append_line(self._path, text)
            if self._poster is not None:
                self._poster.post(text.encode(), _HEADERS)

    def close(self) -> None:
        """Close the connection."""
        if self._poster is not None:
            self._poster.close()


def _poster(options: Mapping[str, Any], observed: Observed) -> Poster:
    parts = urlsplit(options["url"])
    if parts.path in ("", "/"):
        parts = parts._replace(path=_ENDPOINT)
    key, ca_file = options.get("api_key"), options.get("ca_file")
    return Poster(
        urlunsplit(parts),
        parse_duration(options.get("timeout", _TIMEOUT)),
        None if ca_file is None else observed.root / ca_file,
        {"User-Agent": "Qanat"} | ({"Authorization": f"Bearer {key}"} if key else {}),
    )
