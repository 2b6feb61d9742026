"""Checks the types of decorator arguments, which Python does not check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qanat.declare.check.value import Check
from qanat.errors import Location, OptionError, PythonFileError, UnsupportedError, nearest
from qanat.model.adapter import Connectors
from qanat.model.pipeline import SinkTarget
from qanat.text import KEY, filled


def text_of(argument: str, value: Any, location: Location) -> str:
    """The value of an argument that must be text and not empty.

    Args:
        argument: its name, for the message.
        value: what the user gave.
        location: the call's place, for errors.

    Raises:
        PythonFileError: the value is something else.
    """
    if isinstance(value, str) and value.strip():
        return value
    raise _misfit(argument, "text", value, location)


def optional_text(argument: str, value: Any, location: Location) -> str | None:
    """The value of an argument that must be text or None.

    Raises:
        PythonFileError: the value is something else.
    """
    if value is None or isinstance(value, str):
        return value
    raise _misfit(argument, "text", value, location)


def names_of(argument: str, value: Any, location: Location) -> tuple[str, ...]:
    """The value of an argument that must be a list of names or None; None gives no names.

    Raises:
        PythonFileError: the value is something else.
    """
    if value is None:
        return ()
    listed = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    if not listed or not all(isinstance(v, str) and v for v in value):
        raise _misfit(argument, "a list of names", value, location)
    return tuple(value)


def mapping_of_text(
    argument: str, value: Any, location: Location, *, blank: bool = False
) -> dict[str, str]:
    """The value of an argument that must be a dict of text to text, or None; None gives {}.

    Args:
        argument: its name, for the message.
        value: what the user gave.
        location: the call's place, for errors.
        blank: True if values may be empty or only spaces.

    Raises:
        PythonFileError: the value is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(
        isinstance(k, str) and k.strip() and isinstance(v, str) and (blank or v.strip())
        for k, v in value.items()
    ):
        raise _misfit(argument, "a dict of text to text", value, location)
    return dict(value)


def rules_given(value: Any, location: Location) -> list[tuple[str | None, str | Check]]:
    """The rules of a decorator: text or checks by their names, or checks with names of their own.

    Raises:
        PythonFileError: the value is something else.
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        pairs: list[tuple[Any, Any]] = [(None, each) for each in value]
    elif isinstance(value, Mapping):
        pairs = list(value.items())
    else:
        pairs = [(None, value)]
    for name, rule in pairs:
        named = isinstance(name, str) and name.strip()
        text = isinstance(rule, str) and rule.strip()
        if not ((named and text) or (isinstance(rule, Check) and (named or name is None))):
            wanted = "rules by name, each as text or as a check, or a list of checks"
            raise _misfit("the expectation", wanted, value, location)
    return pairs


def check_conf(value: Any, location: Location) -> None:
    """Refuse a `spark_conf` with entries: the argument exists only for compatibility.

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
    format_: Any,
    options: Any,
    connectors: Connectors,
    configuration: Mapping[str, str],
    location: Location,
) -> SinkTarget:
    """The target of a sink, from the arguments of `create_sink`.

    Args:
        configuration: values for `${key}` in options.

    Raises:
        UnsupportedError: no connector writes the format.
        OptionError: an option does not exist, does not fit or is missing.
        PythonFileError: an argument has a wrong type.
    """
    written = text_of("format", format_, location)
    name = with_values(written, configuration, location).lower()
    connector = connectors.writing(name)
    if connector is None:
        raise UnsupportedError(
            f"sinks in format {name!r} are not supported",
            location=location,
            wanted=" or ".join(connectors.sinks),
            nearest=nearest(name, connectors.sinks),
        )
    # Values may be blank: a delimiter can be a tab, and the text for NULL can be empty.
    given = mapping_of_text("options", options, location, blank=True)
    values = {k: with_values(v, configuration, location) for k, v in given.items()}
    table = connector.sinks[name]
    found = table.check_all(values.items(), location)
    # By their canonical names, as the options themselves.
    changed = tuple((table.find(k).name, v) for k, v in given.items() if values[k] != v)
    return SinkTarget(name, tuple(found.items()), connector.name, changed)


def with_values(text: str, configuration: Mapping[str, str], location: Location) -> str:
    """A text with the values of the configuration in the place of `${key}`.

    Raises:
        OptionError: the configuration lacks one; names the nearest.
    """
    missing = next((m[1] for m in KEY.finditer(text) if m[1] not in configuration), None)
    if missing is not None:
        raise OptionError(
            f"no configuration {missing!r}",
            location=location,
            nearest=nearest(missing, configuration),
            hint=f"add it to the spec: configuration: {{{missing}: …}}",
        )
    return filled(text, configuration)


def _misfit(argument: str, wanted: str, value: Any, location: Location) -> PythonFileError:
    return PythonFileError(
        f"{argument} does not fit", location=location, wanted=wanted, got=repr(value)[:80]
    )
