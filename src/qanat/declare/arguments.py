"""Checks of decorator arguments: Python checks none of their types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qanat.errors import PythonFileError, UnsupportedError, nearest
from qanat.model.adapter import Connectors
from qanat.model.dataset import SinkTarget
from qanat.model.location import Location


def text_of(argument: str, value: Any, location: Location) -> str:
    """An argument that must be text and not empty.

    Raises:
        PythonFileError: it is something else.
    """
    if isinstance(value, str) and value.strip():
        return value
    raise _misfit(argument, "text", value, location)


def optional_text(argument: str, value: Any, location: Location) -> str | None:
    """An argument that is text or None."""
    if value is None or isinstance(value, str):
        return value
    raise _misfit(argument, "text", value, location)


def names_of(argument: str, value: Any, location: Location) -> tuple[str, ...]:
    """An argument that is a list of names, or None."""
    if value is None:
        return ()
    listed = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    if not listed or not all(isinstance(v, str) and v for v in value):
        raise _misfit(argument, "a list of names", value, location)
    return tuple(value)


def mapping_of_text(
    argument: str, value: Any, location: Location, *, blank: bool = False
) -> dict[str, str]:
    """An argument that is a dict of text to text, or None.

    Args:
        blank: whether values may be empty or only spaces.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(
        isinstance(k, str) and k.strip() and isinstance(v, str) and (blank or v.strip())
        for k, v in value.items()
    ):
        raise _misfit(argument, "a dict of text to text", value, location)
    return dict(value)


def check_conf(value: Any, location: Location) -> None:
    """`spark_conf` exists for compatibility; only an empty one can be kept.

    Raises:
        UnsupportedError: it has entries.
    """
    if value:
        raise UnsupportedError(
            "spark_conf is not supported",
            location=location,
            hint="leave it out; put settings of the engine into the spec",
        )


def sink_target(
    format_: Any, options: Any, connectors: Connectors, location: Location
) -> SinkTarget:
    """Where a sink writes.

    Raises:
        UnsupportedError: no connector writes that format.
        OptionError: an option does not exist, does not fit or is missing.
    """
    name = text_of("format", format_, location).casefold()
    connector = connectors.writing(name)
    if connector is None:
        raise UnsupportedError(
            f"sinks in format {name!r} are not supported",
            location=location,
            wanted=" or ".join(connectors.sinks),
            nearest=nearest(name, connectors.sinks),
        )
    # A tab is a delimiter, and nothing may stand for NULL.
    given = mapping_of_text("options", options, location, blank=True)
    found = connector.sinks[name].check_all(given.items(), location)
    return SinkTarget(name, tuple(found.items()), connector.name)


def _misfit(argument: str, wanted: str, value: Any, location: Location) -> PythonFileError:
    return PythonFileError(
        f"{argument} does not fit", location=location, wanted=wanted, got=repr(value)[:80]
    )
