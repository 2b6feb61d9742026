"""Events as CloudEvents 1.0: posted to a web hook, or written to a file line by line.

Here stands what an author may say. `event` makes the documents, `signature` signs them, `webhook`
posts them, and `lines` writes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from qanat.errors import Location, OptionError
from qanat.model.adapter import Option, ValueType
from qanat.model.kind import ObserverKind
from qanat.model.observer import ObserverOptions
from qanat.observe.cloudevents.signature import secrets_of

SOURCE = Option(
    "source",
    "the attribute `source` of events; default: `qanat:PROJECT/ENVIRONMENT`",
    type=ValueType.NAME,
)


class _WebhookOptions(ObserverOptions):
    __slots__ = ()

    def check_all(
        self, given: Iterable[tuple[str, Any]], location: Location | None = None
    ) -> dict[str, Any]:
        """As every option table does.

        Raises:
            OptionError: also if a secret cannot be one; it is not shown.
        """
        found = ObserverOptions.check_all(self, given, location)
        try:
            secrets_of(found.get("secret", ""))
        except ValueError as error:
            raise OptionError(
                f"the option 'secret' of {self.owner} is no secret of Standard Webhooks",
                location=location,
                wanted="whsec_ and 24 to 64 bytes in base64; several are separated by spaces",
            ) from error
        return found


WEBHOOK = ObserverKind(
    "webhook",
    "qanat.observe.cloudevents.webhook:Webhook",
    _WebhookOptions(
        "an observer of the kind 'webhook'",
        (
            Option("url", "where events are posted to", type=ValueType.NAME, required=True),
            Option(
                "secret",
                "what events are signed with, as Standard Webhooks has it: `whsec_…`; during a"
                " change the new one and the old one, separated by a space",
            ),
            Option("token", "sent as `Authorization: Bearer …`", type=ValueType.NAME),
            Option(
                "mode",
                "`structured` (the default): the event is the body. `binary`: the body has the"
                " data, and headers `ce-…` the attributes",
                choices={name: name for name in ("structured", "binary")},
            ),
            Option(
                "timeout",
                "how long to wait for a connection and for an answer; default: 10 seconds",
                type=ValueType.DURATION,
            ),
            Option(
                "ca_file",
                "certificates to trust instead of the system's, in PEM",
                type=ValueType.NAME,
            ),
            SOURCE,
        ),
        refused={
            "verify": "certificates are always verified; `ca_file` names those to trust",
            "retries": "an event is posted until it is taken: see `keep`",
        },
    ),
)
"""What `qanat.plugins` finds."""

FILE = ObserverKind(
    "file",
    "qanat.observe.cloudevents.lines:EventLines",
    ObserverOptions(
        "an observer of the kind 'file'",
        (
            Option(
                "path",
                "the file to which each event is added as a line of JSON",
                type=ValueType.NAME,
                required=True,
            ),
            SOURCE,
        ),
    ),
)
"""What `qanat.plugins` finds."""
