"""The section `observers` of a spec: who else is told of what updates do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from qanat.declare.document import Entry
from qanat.errors import OptionError, Problems, QanatError, SpecError, nearest
from qanat.model.event import kept_kinds
from qanat.model.kind import ObserverKind
from qanat.model.observer import COMMON, KEEP, WAIT, DeclaredObserver
from qanat.model.upkeep import parse_duration

_LISTS = ("events", "datasets")
_WANTED = "observers: {NAME: {kind: webhook, url: https://…}}"


def observers_of(
    section: Entry | None,
    kinds: Callable[[str], ObserverKind],
    problems: list[QanatError],
) -> tuple[DeclaredObserver, ...]:
    """The observers of a spec, with one environment applied.

    An observer with the value `off` is none: an environment so leaves out one of the base
    settings.

    Args:
        section: the value of the key `observers`; None if it is not there.
        kinds: what is known of a kind of observer, by its name; raises `OptionError`.
        problems: gains an error for whatever does not fit.
    """
    if section is None or section.value is None:
        return ()
    if not isinstance(section.value, dict):
        problems.append(
            SpecError("observers is not a mapping", location=section.at, wanted=_WANTED)
        )
        return ()
    found = []
    for name, entry in section.value.items():
        if entry.value is False:
            continue
        if not isinstance(entry.value, dict):
            problems.append(
                SpecError(
                    f"observer {name!r} is not a mapping",
                    location=entry.at,
                    wanted="{kind: webhook, url: https://…}, or off",
                )
            )
            continue
        collected = Problems()
        with collected.collecting():
            found.append(_observer(name, entry, kinds))
        problems += collected
    return tuple(found)


def _observer(name: str, entry: Entry, kinds: Callable[[str], ObserverKind]) -> DeclaredObserver:
    """One observer.

    Raises:
        OptionError: something does not fit.
        ProblemsError: several things do not.
    """
    given = entry.value if isinstance(entry.value, dict) else {}
    problems = Problems()
    common: dict[str, Any] = {}
    lists: dict[str, tuple[str, ...]] = {}
    own: dict[str, Entry] = {}
    for key, each in given.items():
        with problems.collecting():
            if not COMMON.has(key):
                own[key] = each
            elif (option := COMMON.find(key).name) in _LISTS:
                lists[option] = _texts(option, each)
            else:
                common[option] = COMMON.check(key, each.text, each.at)[1]
    problems.require()
    COMMON.check_all(common.items(), entry.key_at)
    kind_at = next(e for k, e in given.items() if COMMON.has(k) and COMMON.find(k).name == "kind")
    try:
        kind = kinds(common["kind"])
    except OptionError as error:
        error.location = kind_at.at
        raise
    with problems.collecting():
        _check_events(lists.get("events", ()), given)
    checked: dict[str, Any] = {}
    for key, each in own.items():
        with problems.collecting():
            # An unknown name is a fault of the key, an unfit value one of the value.
            kind.options.find(key, each.key_at)
            canonical, value = kind.options.check(key, each.text, each.at)
            checked[canonical] = value
    problems.require()
    return DeclaredObserver(
        name,
        kind.name,
        kind.options.check_all(checked.items(), entry.key_at),
        lists.get("events", ()),
        lists.get("datasets", ()),
        parse_duration(common.get("wait", WAIT)),
        parse_duration(common.get("keep", KEEP)),
    )


def _texts(option: str, entry: Entry) -> tuple[str, ...]:
    """A list of names, also as one text with commas."""
    given = entry.plain
    items = given if isinstance(given, list) else str(entry.text).split(",")
    names = tuple(item.strip() for item in items if isinstance(item, str) and item.strip())
    if len(names) < len(items) or not names:
        raise OptionError(
            f"the option {option!r} of an observer does not fit",
            location=entry.at,
            wanted="a list of names, such as [update_ended, dataset_ended]"
            if option == "events"
            else "a list of names or globs, such as [gold_*]",
            got=repr(given),
        )
    return names


def _check_events(names: tuple[str, ...], given: dict[str, Entry]) -> None:
    """Raise unless all are kinds of events."""
    known = kept_kinds()
    problems = Problems()
    for name in names:
        if name not in known:
            with problems.collecting():
                near = nearest(name, known)
                raise OptionError(
                    f"there is no kind of event {name!r}",
                    location=next(_places(given, name), None),
                    nearest=near,
                    wanted=None if near else ", ".join(known),
                )
    problems.require()


def _places(given: dict[str, Entry], name: str) -> Iterator[Any]:
    for entry in given.values():
        items = entry.value if isinstance(entry.value, list) else [entry]
        yield from (i.at for i in items if isinstance(i.value, str) and name in i.value)
