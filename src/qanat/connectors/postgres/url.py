"""The URL of a database, which may hold a password that nobody is to see."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

from qanat.errors import OptionError

_SCHEMES = ("postgresql", "postgres")
_SECRETS = ("password", "sslpassword")


class Url(str):
    """A `postgresql://` URL whose `repr` leaves out user, password and parameters.

    A reference to a source is written into fingerprints and messages by the `repr` of its
    options, so that a password in one of them would be seen there.

    >>> url = Url("postgresql://ada:secret@db.example/shop?sslmode=require")
    >>> url
    'postgresql://db.example/shop'
    >>> url.hidden("password authentication failed: secret")
    'password authentication failed: ***'
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(self.place)

    @property
    def place(self) -> str:
        """Hosts, ports and database: what tells one database from another."""
        try:
            parts = urlsplit(self)
        except ValueError:  # a bracket that is not closed
            return "postgresql://…"
        if parts.scheme not in _SCHEMES:
            return "postgresql://…"
        return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The passwords in it, as written and as they are meant."""
        try:
            parts = urlsplit(self)
        except ValueError:
            return (str(self),)
        user = parts.netloc.rpartition("@")[0]
        found = {user.partition(":")[2]} | {v for k, v in parse_qsl(parts.query) if k in _SECRETS}
        return tuple(sorted({s for f in found for s in (f, unquote(f)) if s}, key=len)[::-1])

    def hidden(self, text: str) -> str:
        """A text without the passwords of this URL."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def checked(url: str, owner: str) -> Url:
    """A URL that a driver can use.

    Raises:
        OptionError: it does not begin like the URL of a PostgreSQL database. What it is instead
            is not shown, as it may be a password.
    """
    found = Url(url)
    if not url.startswith(tuple(f"{s}://" for s in _SCHEMES)) or found.place.endswith("…"):
        raise OptionError(
            f"the option 'url' of {owner} is no URL of a PostgreSQL database",
            wanted="postgresql://user@host:port/database",
        )
    return found
