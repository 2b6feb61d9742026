"""Option tables that also take every setting of a Kafka client, as Spark does: `kafka.…`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from qanat.errors import Location, OptionError
from qanat.model.adapter import Option, OptionTable, folded

CLIENT = "kafka."
"""How the settings of clients begin."""
TOPICS = ("subscribe", "subscribe_pattern", "assign")
"""The options that say which topics are read; one of them is given."""

_SECRET = re.compile(
    r"pass|pwd|secret|\.key$|\.key\.pem$|token|credential"
    # What settings of logins and certificates may show; one that is misspelt may be a password.
    r"|^kafka\.s(?:asl|sl)\.(?!(?:mechanisms?|username|kerberos\.(?:service|principal).*"
    r"|oauthbearer\.(?:method|scope|extensions|.*url)|.*location|.*type|cipher\.suites"
    r"|.*algorithm|curves\.list|sigalgs\.list|providers|engine\.id)$)",
    re.IGNORECASE,
)


_SECRETS = frozenset({"schema_registry_password", "schema_registry_token"})


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A value that shows itself as `***`: references are written into fingerprints and messages.

    >>> Secret("hunter2")
    '***'
    """

    text: str

    def __str__(self) -> str:
        return "***"

    def __repr__(self) -> str:
        return "'***'"


class KafkaOptions(OptionTable):
    """Options beside which `kafka.` and the name of a client's setting is one, too."""

    __slots__ = ()

    def has(self, name: str) -> bool:
        """True if it has an option of that name."""
        return _is_setting(name) or OptionTable.has(self, name)

    def find(self, name: str, location: Location | None = None) -> Option:
        """The option of a name.

        Raises:
            OptionError: there is none; names the nearest, or the way out.
        """
        refused = folded(name) in map(folded, self.refused)
        if _is_setting(name) and not refused and not OptionTable.has(self, name):
            return Option(name.strip().lower(), "a setting of the client")
        return OptionTable.find(self, name, location)

    def check(self, name: str, value: Any, location: Location | None = None) -> tuple[str, Any]:
        """As every option table does; a password is a `Secret`.

        Raises:
            OptionError: there is no such option, or the value does not fit.
        """
        option = self.find(name, location)
        if not _is_setting(option.name):
            checked = OptionTable.check(self, name, getattr(value, "text", value), location)
            return (checked[0], Secret(checked[1])) if option.name in _SECRETS else checked
        if isinstance(value, Secret):
            return option.name, value
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return option.name, Secret(text) if _SECRET.search(option.name) else text


class ReadOptions(KafkaOptions):
    """Options of a read, of which exactly one says what is read."""

    __slots__ = ()

    def check_all(
        self, given: Iterable[tuple[str, Any]], location: Location | None = None
    ) -> dict[str, Any]:
        """As every option table does.

        Raises:
            OptionError, ProblemsError: as for `OptionTable`; or not exactly one option says what
                is read, or several say where to begin.
        """
        found = OptionTable.check_all(self, given, location)
        topics = [name for name in TOPICS if name in found]
        if len(topics) != 1:
            raise OptionError(
                f"{self.owner} reads what one option says: {', '.join(TOPICS)}",
                location=location,
                wanted="such as subscribe => 'orders'",
                got=" and ".join(topics) or None,
            )
        for when in ("starting", "ending"):
            places = (f"{when}_offsets", f"{when}_offsets_by_timestamp", f"{when}_timestamp")
            several = [name for name in places if name in found]
            if len(several) > 1:
                raise OptionError(
                    f"{self.owner} can take only one of {' and '.join(several)}",
                    location=location,
                )
        return found


def _is_setting(name: str) -> bool:
    return name.strip().lower().startswith(CLIENT)
