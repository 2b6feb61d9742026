"""Updates, datasets and columns as OpenLineage 2-0-2 has them, posted or written to a file.

Here stands what an author may say. `names` gives jobs and runs their names, `facets` makes the
parts of documents, `datasets` describes inputs and outputs, `documents` makes an event into whole
documents, and `observer` sends them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from qanat.errors import Location, OptionError
from qanat.model.adapter import Option, ValueType
from qanat.model.kind import ObserverKind
from qanat.model.observer import ObserverOptions


class _Options(ObserverOptions):
    __slots__ = ()

    def check_all(
        self, given: Iterable[tuple[str, Any]], location: Location | None = None
    ) -> dict[str, Any]:
        """As every option table does.

        Raises:
            OptionError: also if it is not said where the documents go, or twice.
        """
        found = ObserverOptions.check_all(self, given, location)
        if ("url" in found) is ("path" in found):
            raise OptionError(
                f"{self.owner} needs either the option 'url' or the option 'path'",
                location=location,
                wanted="url: https://…, or path: lineage.ndjson",
            )
        return found


OPENLINEAGE = ObserverKind(
    "openlineage",
    "qanat.observe.openlineage.observer:OpenLineage",
    _Options(
        "an observer of the kind 'openlineage'",
        (
            Option(
                "url",
                "of a server such as Marquez; `/api/v1/lineage` is added if it has no path",
                type=ValueType.NAME,
            ),
            Option(
                "path",
                "instead of `url`: the file to which each document is added as a line of JSON",
                type=ValueType.NAME,
            ),
            Option("api_key", "sent as `Authorization: Bearer …`", type=ValueType.NAME),
            Option(
                "namespace",
                "of jobs; default: `qanat`. Their names are PROJECT/ENVIRONMENT and"
                " PROJECT/ENVIRONMENT/DATASET",
                type=ValueType.NAME,
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
        ),
    ),
)
"""What `qanat.plugins` finds."""
