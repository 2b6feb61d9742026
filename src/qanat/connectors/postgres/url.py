"""The URL of a database, which may hold a password that no message may show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from qanat.errors import Location, OptionError
from qanat.model.adapter import OptionTable

_SCHEMES = ("postgresql", "postgres")
_SECRETS = ("password", "sslpassword")
_NONE = SplitResult("", "", "", "", "")


@dataclass(frozen=True, slots=True, repr=False)
class Url:
    """A `postgresql://` URL that shows itself without user, password and parameters.

    A reference to a source or sink is written into fingerprints, the ledger and messages as its
    options show themselves; what must not be seen there is in `text` alone.

    Args:
        text: the whole URL, for drivers.

    >>> url = Url("postgresql://ada:secret@db.example/shop?sslmode=require")
    >>> print(url, [url])
    postgresql://db.example/shop ['postgresql://db.example/shop']
    >>> url.hidden("authentication failed: secret")
    'authentication failed: ***'
    """

    text: str

    def __str__(self) -> str:
        return self.place

    def __repr__(self) -> str:
        return repr(self.place)

    @property
    def place(self) -> str:
        """Hosts, ports and database: what tells one database from another."""
        parts = self._parts
        if parts.scheme not in _SCHEMES:
            return "postgresql://…"
        return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @property
    def usable(self) -> bool:
        """True if it begins like the URL of a PostgreSQL database."""
        return self._parts.scheme in _SCHEMES and "://" in self.text

    def hidden(self, text: str) -> str:
        """A text without the passwords of this URL."""
        parts = self._parts
        written = parts.netloc.rpartition("@")[0].partition(":")[2]
        found = {written} | {v for k, v in parse_qsl(parts.query) if k in _SECRETS}
        # Replace the longer ones first: one may be a part of another.
        for secret in sorted({s for f in found for s in (f, unquote(f))}, key=len, reverse=True):
            text = text.replace(secret, "***") if secret else text
        return text

    @property
    def _parts(self) -> SplitResult:
        try:
            return urlsplit(self.text)
        except ValueError:  # a bracket that is not closed
            return _NONE


class UrlOptions(OptionTable):
    """Options of which `url` is a `Url`."""

    __slots__ = ()

    def check(self, name: str, value: Any, location: Location | None = None) -> tuple[str, Any]:
        """As every option table does; the value of `url` is a `Url`.

        Raises:
            OptionError: there is no such option, or the value does not fit. What a wrong `url`
                is instead is not shown, as it may be a password.
        """
        if self.find(name, location).name != "url":
            return OptionTable.check(self, name, value, location)
        url = value if isinstance(value, Url) else Url(str(value))
        if not url.usable:
            raise OptionError(
                f"the option 'url' of {self.owner} is no URL of a PostgreSQL database",
                location=location,
                wanted="postgresql://user@host:port/database",
            )
        return "url", url
