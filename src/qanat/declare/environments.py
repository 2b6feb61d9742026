"""The environments of a spec: their settings, and which one reads from which."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

from qanat.declare.document import Entry
from qanat.declare.settings import KEYS, SETTINGS
from qanat.errors import QanatError, SpecError, nearest

DEV = "dev"
"""The default environment, which need not be declared. Its storage is the spec's own."""
FROM = "from"
"""The key that names the environment to read from."""
ALIASES = {spelling: o.name for o in SETTINGS.options for spelling in o.spellings}
"""Other names of keys."""

Entries: TypeAlias = "dict[str, Entry]"

_KEYS = (*(k for k in (*KEYS, *ALIASES) if k != "name"), FROM)
_BELOW = "write it below the environment that reads: environments: {dev: {from: prod}}"
_RESERVED = ("tables", "_qanat")


def check_keys(
    entries: Entries, known: tuple[str, ...], what: str, problems: list[QanatError]
) -> None:
    """Add a problem for every key that is not known; names the nearest.

    Args:
        what: what a key is called in the message.
    """
    for key, entry in entries.items():
        if key not in known:
            near = nearest(key, known)
            problems.append(
                SpecError(
                    f"unknown {what} {key!r}",
                    location=entry.key_at,
                    nearest=near,
                    wanted=None if near or key == FROM else ", ".join(sorted(known)),
                    hint=_BELOW if key == FROM else None,
                )
            )


def environments_of(top: Entries, problems: list[QanatError]) -> dict[str, Entries]:
    """The settings of each environment that a spec declares, by canonical key.

    Args:
        top: the keys of the spec.
        problems: gains an error for whatever does not fit.
    """
    entry = top.get("environments")
    if entry is None or entry.value is None:
        return {}
    if not isinstance(entry.value, dict):
        problems.append(
            SpecError(
                "environments is not a mapping",
                location=entry.at,
                wanted="environments: {prod: {storage: …}}",
            )
        )
        return {}
    found: dict[str, Entries] = {}
    for name, settings in entry.value.items():
        if not re.fullmatch(r"[^\W_][\w-]*", name) or name in _RESERVED:
            problems.append(
                SpecError(
                    f"environment name {name!r} cannot be used",
                    location=settings.key_at,
                    wanted="letters, digits, _ and -, beginning with a letter or digit",
                )
            )
        if settings.value is None:
            found[name] = {}
        elif isinstance(settings.value, dict):
            what = f"key of environment {name!r}:"
            check_keys(settings.value, _KEYS, what, problems)
            # What has no value is as if it were left out: the base settings then hold.
            given = {k: v for k, v in settings.value.items() if v.value is not None}
            found[name] = renamed(given, problems)
        else:
            problems.append(
                SpecError(
                    f"environment {name!r} is not a mapping",
                    location=settings.at,
                    wanted="settings such as storage: …",
                )
            )
    return found


def origins_of(environments: dict[str, Entries], problems: list[QanatError]) -> dict[str, str]:
    """By environment, the one whose tables it reads where it has none: its `from`.

    Args:
        problems: gains an error for each that is not another environment of the spec, and for each
            circle.
    """
    known = [*dict.fromkeys((DEV, *environments))]
    given = {n: e[FROM] for n, e in environments.items() if FROM in e}
    origins: dict[str, str] = {}
    for name, entry in given.items():
        others = [k for k in known if k != name]
        if entry.text in others:
            origins[name] = entry.text
            continue
        itself = entry.text == name
        what = f"no environment {entry.text!r} to read from"
        problems.append(
            SpecError(
                f"environment {name!r} reads from itself" if itself else what,
                location=entry.at,
                wanted=" or ".join(others) or "another environment of this spec",
                nearest=None if itself else nearest(str(entry.text), others),
            )
        )
    for name in origins:
        circle = _circle(origins, name)
        # Tell each circle once, at its first environment.
        if circle and name == next(n for n in origins if n in circle):
            problems.append(
                SpecError(
                    f"environments read from one another: {' from '.join((*circle, name))}",
                    location=given[name].at,
                    hint=f"take `{FROM}` out of one of them",
                )
            )
    return origins


def _circle(origins: Mapping[str, str], start: str) -> tuple[str, ...]:
    """The environments on the way from one back to itself; none if there is no such way."""
    way = [start]
    while (origin := origins.get(way[-1])) is not None and origin not in way:
        way.append(origin)
    return tuple(way) if origin == start else ()


def renamed(entries: Entries, problems: list[QanatError]) -> Entries:
    """Entries by the canonical names of their keys."""
    for alias, key in ALIASES.items():
        if alias in entries and key in entries:
            problems.append(
                SpecError(
                    f"{alias!r} and {key!r} are two names of one setting",
                    location=entries[alias].key_at,
                    hint="keep one of them",
                )
            )
    return {ALIASES.get(k, k): v for k, v in entries.items()}
