"""Reads the sections `schedules`, `pools` and `calendars` of a spec."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, time
from typing import Any
from zoneinfo import available_timezones

from qanat.declare.document import Entry
from qanat.errors import QanatError, SpecError, nearest
from qanat.frozen import Frozen
from qanat.model.name import Named
from qanat.model.schedule import Catchup, Schedule, Window
from qanat.model.trigger import After, Cron, Every, Trigger, check_cron, zone
from qanat.model.upkeep import parse_duration

_WHOLE = re.compile(r"-?\d{1,9}")
_NAME = re.compile(r"[^\W_][\w-]*")
_CRON = "five fields as in '0 1 * * *' (minute, hour, day, month, weekday)"
_TRIGGERS = ("cron", "every", "after")

Read = tuple[Callable[[Any], Any], str]
"""What reads a value or raises ValueError, and what a value is, for messages."""


def _whole(least: int) -> Read:
    def read(value: Any) -> int:
        text = str(value)
        if not _WHOLE.fullmatch(text) or int(text) < least:
            raise ValueError(text)
        return int(text)

    return read, f"a whole number from {least} on"


def _cron(value: Any) -> str:
    check_cron(str(value))
    return str(value)


def _duration(value: Any) -> float:
    seconds = parse_duration(str(value))
    if seconds < 1:
        raise ValueError(value)
    return seconds


def _timezone(value: Any) -> str:
    if value != "UTC":
        zone(value)
    return str(value)


def _time(value: Any) -> time:
    hour, colon, minute = str(value).strip().partition(":")
    if not (colon and hour.isdecimal() and minute.isdecimal() and len(minute) == 2):
        raise ValueError(value)
    return time(int(hour), int(minute))


def _window(value: Any) -> Window:
    begin, _, end = str(value).partition("-")
    window = Window(_time(begin), _time(end))
    if window.begin == window.end:
        raise ValueError(value)
    return window


def _texts(value: Any) -> tuple[str, ...]:
    given = value if isinstance(value, list) else [value]
    if not given or not all(isinstance(each, str) and each for each in given):
        raise ValueError(value)
    return tuple(given)


def _dates(value: Any) -> tuple[date, ...]:
    return tuple(date.fromisoformat(each) for each in _texts(value))


def _dates_or_calendars(value: Any) -> tuple[date | str, ...]:
    # A name never begins with a digit, so a date that is none is not taken for one.
    return tuple(date.fromisoformat(each) if each[0].isdigit() else each for each in _texts(value))


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(value)
    return value


_LONG = "a duration of a second or more, as in 15 minutes"
SCHEDULE_KEYS: Mapping[str, tuple[Read, str]] = {
    "cron": ((_cron, _CRON), "when it is due: minute, hour, day, month and weekday"),
    "every": ((_duration, _LONG), "due at each multiple of this since 1970 (UTC)"),
    "after": ((_name, "the name of a schedule"), "due when a run of that schedule has succeeded"),
    "timezone": (
        (_timezone, "a name of the IANA's database, as in Europe/Berlin"),
        "of `cron`, `between`, `skip_dates` and `done_by`; default: UTC",
    ),
    "select": (
        (_texts, "a dataset or a list of them, as `qanat run --select` takes them"),
        "what to update; default: everything",
    ),
    "catchup": (
        (Catchup, " or ".join(Catchup)),
        (
            "of due times that came while no scheduler ran or while it was paused: `last` runs the"
            " newest (default), `all` each of them, `skip` none"
        ),
    ),
    "between": (
        (_window, "two times of day, as in 01:00-05:00"),
        "the only part of a day in which it is due, and in which runs start",
    ),
    "skip_dates": (
        (_dates_or_calendars, "days and names of calendars, as in [holidays, 2026-12-24]"),
        "on which days it is not due",
    ),
    "done_by": (
        (_time, "a time of day, as in 06:00"),
        "when a run is to have succeeded; one that will be late is told before",
    ),
    "max_concurrent_runs": (_whole(1), "of this schedule at a time; default: 1"),
    "pool": ((_name, "the name of a pool"), "whose slots its runs take, one each"),
    "priority": (_whole(-1000), "which runs start first: greater numbers; default: 0"),
    "retries": (_whole(0), "of a run that failed and may succeed later; default: 0"),
    "retry_delay": (
        (_duration, _LONG),
        (
            "before the first retry; doubled for each further one, to an hour at most, and up to a"
            " half less by chance; default: 1 minute"
        ),
    ),
    "timeout": ((_duration, _LONG), "after which a run is stopped, and counts as failed"),
}
"""The keys of a schedule: how each is read, and what it means."""


class _Named(Frozen):
    """What schedules may refer to by its name."""

    pools: Mapping[str, int]
    calendars: Mapping[str, tuple[date, ...]]


def scheduling(sections: Mapping[str, Entry], problems: list[QanatError]) -> dict[str, Any]:
    """The schedules of a spec, and how many runs may work at a time, by pool.

    Args:
        sections: those of `schedules`, `pools` and `calendars` that there are.
        problems: gains an error for whatever does not fit.
    """
    pools = _values("pools", sections, "{heavy: 2}", _whole(1), problems)
    days = _dates, "a list of days, as in [2026-12-25]"
    calendars = _values("calendars", sections, "{holidays: [2026-12-25]}", days, problems)
    named, entry = _Named(pools, calendars), sections.get("schedules")
    return {
        "schedules": () if entry is None else _schedules(entry, named, problems),
        "pools": pools,
        "calendars": calendars,
    }


def _values(
    section: str,
    sections: Mapping[str, Entry],
    example: str,
    kind: Read,
    problems: list[QanatError],
) -> dict[str, Any]:
    """The values of a section by name."""
    found, (read, wanted) = dict[str, Any](), kind
    entry = sections.get(section)
    entries = None if entry is None else _mapping(section, entry, example, problems)
    for name, each in (entries or {}).items():
        try:
            found[name] = read(each.text)
        except ValueError:
            problems.append(_fault(f"{section}.{name}", each, wanted))
    return found


def _schedules(entry: Entry, named: _Named, problems: list[QanatError]) -> tuple[Schedule, ...]:
    found, seen = list[Schedule](), Named[str]()
    example = '{cron: "0 1 * * *"}'
    entries = _mapping("schedules", entry, f"{{nightly: {example}}}", problems) or {}
    for name, each in entries.items():
        if not _NAME.fullmatch(name):
            problems.append(
                SpecError(
                    f"schedule name {name!r} cannot be used",
                    location=each.key_at,
                    wanted="letters, digits, _ and -, beginning with a letter or digit",
                )
            )
        elif (other := seen.setdefault(name, name)) != name:
            text = f"{other!r} and {name!r} are one name of a schedule"
            hint = "names differ by more than their case"
            problems.append(SpecError(text, location=each.key_at, hint=hint))
        elif (keys := _mapping(f"schedule {name!r}", each, example, problems)) is not None:
            schedule = _schedule(name, each, keys, named, problems)
            found += [] if schedule is None else [schedule]
    _check_followed(found, entries, problems)
    return tuple(found)


def _schedule(
    name: str,
    entry: Entry,
    keys: Mapping[str, Entry],
    named: _Named,
    problems: list[QanatError],
) -> Schedule | None:
    before, values = len(problems), dict[str, Any]()
    for key, each in keys.items():
        if key not in SCHEDULE_KEYS:
            near = nearest(key, SCHEDULE_KEYS)
            wanted = None if near else ", ".join(SCHEDULE_KEYS)
            what = f"unknown key {key!r} of schedule {name!r}"
            problems.append(SpecError(what, location=each.key_at, nearest=near, wanted=wanted))
            continue
        if each.value is None:
            continue
        (read, wanted), _ = SCHEDULE_KEYS[key]
        try:
            values[key] = read(each.text)
        except (ValueError, OSError, KeyError):
            # zoneinfo raises a KeyError for a name that it does not know.
            problems.append(_fault(f"{key} of schedule {name!r}", each, wanted, _near(key, each)))
    if len(problems) > before:
        return None
    given = [key for key in _TRIGGERS if key in values]
    if len(given) != 1:
        got = " and ".join(given) if given else "none of them"
        text = f"schedule {name!r} needs one thing that sets it off"
        wanted = ", ".join(_TRIGGERS[:-1]) + f" or {_TRIGGERS[-1]}"
        problems.append(SpecError(text, location=entry.key_at, wanted=wanted, got=got))
        return None
    pool = values.get("pool")
    if pool is not None and pool not in named.pools:
        section = f"a section `pools: {{{pool}: 1}}` in the spec"
        problems.append(_missing("pool", pool, keys["pool"], named.pools, section))
    if "skip_dates" in values:
        given_days = values["skip_dates"]
        values["skip_dates"] = tuple(_days(given_days, keys["skip_dates"], named, problems))
    trigger = _trigger(values)
    for key in _TRIGGERS:
        values.pop(key, None)
    return Schedule(name, trigger, location=entry.key_at, **values)


def _days(
    given: Sequence[date | str], entry: Entry, named: _Named, problems: list[QanatError]
) -> Iterator[date]:
    """Days, of which some are given by the name of their calendar."""
    for each in given:
        if isinstance(each, date):
            yield each
        elif each in named.calendars:
            yield from named.calendars[each]
        else:
            section = f"a section `calendars: {{{each}: [2026-12-25]}}` in the spec"
            problems.append(_missing("calendar", each, entry, named.calendars, section))


def _missing(
    kind: str, name: str, entry: Entry, known: Mapping[str, object], section: str
) -> SpecError:
    near = nearest(name, known)
    wanted = None if near else " or ".join(known) or section
    return SpecError(f"no {kind} {name!r}", location=entry.at, nearest=near, wanted=wanted)


def _trigger(values: Mapping[str, Any]) -> Trigger:
    if "cron" in values:
        return Cron(values["cron"], values.get("timezone", "UTC"))
    return Every(values["every"]) if "every" in values else After(values["after"])


def _check_followed(
    schedules: Sequence[Schedule], entries: Mapping[str, Entry], problems: list[QanatError]
) -> None:
    """Add a problem for each schedule that follows none, and for each circle."""
    follows = {s.name: s.trigger.follows for s in schedules if s.trigger.follows}
    told = set[str]()
    for name, other in follows.items():
        keys = entries[name].value
        at = keys["after"].at if isinstance(keys, dict) else entries[name].at
        if other not in entries:
            known = [n for n in entries if n != name]
            text = f"schedule {name!r} comes after {other!r}, which is no schedule"
            near = nearest(other, known)
            wanted = None if near else " or ".join(known) or "another schedule"
            problems.append(SpecError(text, location=at, nearest=near, wanted=wanted))
            continue
        way = [name]
        while (next_ := follows.get(way[-1])) is not None and next_ not in way:
            way.append(next_)
        if next_ == name and name not in told:
            told.update(way)
            text = f"schedules come after one another: {' after '.join((*way, name))}"
            hint = "give one of them a cron or an interval"
            problems.append(SpecError(text, location=at, hint=hint))


def _mapping(
    what: str, entry: Entry, example: str, problems: list[QanatError]
) -> dict[str, Entry] | None:
    if isinstance(entry.value, dict):
        return entry.value
    problems.append(
        SpecError(f"{what} is not a mapping", location=entry.at, wanted=f"as in {example}")
    )
    return None


def _near(key: str, entry: Entry) -> str | None:
    text = str(entry.text)
    if key == "timezone":
        return nearest(text, sorted(available_timezones()))
    return nearest(text, list(Catchup)) if key == "catchup" else None


def _fault(name: str, entry: Entry, wanted: str, near: str | None = None) -> SpecError:
    got = entry.written or repr(entry.plain)
    return SpecError(
        f"{name} does not fit", location=entry.at, wanted=wanted, got=got, nearest=near
    )
