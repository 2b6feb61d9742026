"""Posts events to a web server, signed if a secret is shared with it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from qanat.http import Poster
from qanat.model.observer import Told
from qanat.model.upkeep import parse_duration
from qanat.observe.cloudevents.event import binary, source_of, structured
from qanat.observe.cloudevents.signature import secrets_of, signed
from qanat.ports.observer import Observed

_TIMEOUT = "10 seconds"


class Webhook:
    """An observer that posts each event; see `WEBHOOK` for its options.

    The header `webhook-id` is the event's `id`: a receiver tells by it what comes twice.
    """

    def __init__(self, name: str, options: Mapping[str, Any], observed: Observed) -> None:
        del name
        token, ca_file = options.get("token"), options.get("ca_file")
        self._poster = Poster(
            options["url"],
            parse_duration(options.get("timeout", _TIMEOUT)),
            None if ca_file is None else observed.root / ca_file,
            {"User-Agent": "Qanat"} | ({"Authorization": f"Bearer {token}"} if token else {}),
        )
        self._secrets = secrets_of(options.get("secret", ""))
        self._source = source_of(observed, options.get("source"))
        self._request = binary if options.get("mode") == "binary" else structured

    def deliver(self, told: Told) -> None:
        """Post one event.

        Raises:
            UndeliveredError: the server cannot be reached, or does not take it.
        """
        body, headers = self._request(told, self._source)
        signature = signed(self._secrets, told.id, int(time.time()), body)
        self._poster.post(body, {**headers, **signature})

    def close(self) -> None:
        """Close the connection."""
        self._poster.close()
