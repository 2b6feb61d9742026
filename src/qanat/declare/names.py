"""Names of datasets: their prefixes, their quotes, and which names are not allowed."""

from __future__ import annotations

from qanat.errors import OptionError
from qanat.model.dataset import QUARANTINE
from qanat.model.location import Location
from qanat.model.project import Project

_MAX_BYTES = 200
_FORBIDDEN = frozenset('/\\:*?"<>|')


def strip_prefix(parts: tuple[str, ...], project: Project) -> str:
    """A dataset's name without the project's own catalog and schema, or DLT's prefix `live`.

    A name in another schema keeps its prefix, with dots.
    """
    folded = tuple(p.casefold() for p in parts)
    own: list[tuple[str, ...]] = [("live",)]
    if project.schema:
        own.append((project.schema.casefold(),))
        if project.catalog:
            own.append((project.catalog.casefold(), project.schema.casefold()))
    return parts[-1] if folded[:-1] in own else ".".join(parts)


def quoted(name: str, dialect: str) -> str:
    """An identifier in the dialect's quotes.

    >>> quoted("a b", "spark")
    '`a b`'
    """
    quote = "`" if dialect == "spark" else '"'
    return quote + name.replace(quote, quote * 2) + quote


def check_name(name: str, location: Location) -> None:
    """Refuse a name that cannot be used for a folder or file, or that a quarantine table has.

    A dataset's folder has its name, and files of a sink begin with the name of their flow.

    Raises:
        OptionError: the name cannot be used.
    """
    if name.casefold().endswith(QUARANTINE):
        raise OptionError(
            f"the name {name!r} belongs to a quarantine table",
            location=location,
            hint=f"choose a name that does not end in {QUARANTINE}",
        )
    bad = next((c for c in name if c in _FORBIDDEN or not c.isprintable()), None)
    if bad is not None:
        raise OptionError(
            f"the name {name!r} cannot be a folder's name",
            location=location,
            got=f"character {bad!r}",
        )
    if not name.strip(". ") or name != name.strip() or len(name.encode()) > _MAX_BYTES:
        raise OptionError(
            f"the name {name[:40]!r} cannot be a folder's name",
            location=location,
            wanted=f"1 to {_MAX_BYTES} bytes, no space at either end, not only dots",
        )
