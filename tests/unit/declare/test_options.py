"""The table of `read_files` options."""

from __future__ import annotations

import pytest
from qanat.declare.options import OPTIONS, check_option

from qanat.connectors.files.options import read_options
from qanat.model.location import Location
from qanat.model.query import FilesRead

AT = Location("a.sql", 1, 1)
VALUES = {str: "1", bool: True, int: 1}


def spellings() -> list[tuple[str, str]]:
    return [(s, o.name) for o in OPTIONS for s in (o.name, *o.spellings)]


def test_no_two_options_share_a_spelling() -> None:
    folded = [s.replace("_", "").casefold() for s, _ in spellings()]
    assert len(folded) == len(set(folded))


@pytest.mark.parametrize(("spelling", "name"), spellings())
def test_every_spelling_in_snake_and_camel_case(spelling: str, name: str) -> None:
    head, *rest = spelling.split("_")
    camel = head + "".join(part.capitalize() for part in rest)
    kind = next(o.type for o in OPTIONS if o.name == name)
    for written in (spelling, spelling.upper(), camel):
        assert check_option(written, VALUES[kind], AT) == (name, VALUES[kind])


@pytest.mark.parametrize("name", [o.name for o in OPTIONS])
def test_the_connector_knows_every_option(name: str) -> None:
    kind = next(o.type for o in OPTIONS if o.name == name)
    value = "2026-01-01" if name.startswith("modified") else VALUES[kind]
    read_options(FilesRead("a", None, ((name, value),)))
