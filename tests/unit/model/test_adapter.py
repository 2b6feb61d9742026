"""Option tables: every spelling, every value, every mistake; and those of the connectors."""

from __future__ import annotations

from typing import Any

import pytest

from qanat import plugins
from qanat.connectors.files.options import read_options
from qanat.errors import OptionError
from qanat.model.adapter import Option, OptionTable, ValueType
from qanat.model.query import SourceRef

READ = plugins.connector("files").options
VALUES: dict[ValueType, Any] = {
    ValueType.TEXT: "1",
    ValueType.NAME: "1",
    ValueType.BOOLEAN: True,
    ValueType.COUNT: 1,
    ValueType.SIZE: 1,
    ValueType.DURATION: "1 second",
}


def value_of(option: Option) -> Any:
    return next(iter(option.choices.values())) if option.choices else VALUES[option.type]


def tables() -> list[OptionTable]:
    found = plugins.connectors().all
    return [t for c in found for t in (c.options, *c.sinks.values())]


@pytest.mark.parametrize("table", tables(), ids=lambda t: t.owner)
def test_no_two_options_share_a_spelling(table: OptionTable) -> None:
    spellings = [s for o in table.options for s in (o.name, *o.spellings)]
    folded = [s.replace("_", "").casefold() for s in (*spellings, *table.refused)]
    assert len(folded) == len(set(folded))


@pytest.mark.parametrize("option", READ.options, ids=lambda o: o.name)
def test_every_spelling_in_snake_and_camel_case(option: Option) -> None:
    for spelling in (option.name, *option.spellings):
        head, *rest = spelling.split("_")
        camel = head + "".join(part.capitalize() for part in rest)
        for written in (spelling, spelling.upper(), camel):
            assert READ.check(written, value_of(option)) == (option.name, value_of(option))


@pytest.mark.parametrize("option", READ.options, ids=lambda o: o.name)
def test_the_connector_obeys_every_option(option: Option) -> None:
    values = {"encoding": "utf-16", "modified_after": "2026-01-01"}
    value = values.get(option.name.replace("before", "after"), value_of(option))
    read_options(SourceRef("files", "a", ((option.name, value),)))


@pytest.mark.parametrize(
    ("name", "value"), [("header", "yes"), ("skip", -1), ("skip", True), ("schema", True)]
)
def test_values_that_do_not_fit(name: str, value: object) -> None:
    with pytest.raises(OptionError, match=name):
        READ.check(name, value)


def test_a_size_is_a_number_of_bytes() -> None:
    assert READ.check("maxBytesPerTrigger", "2kB") == ("max_bytes_per_trigger", 2000)
    for value in ("2 cows", "", 0):
        with pytest.raises(OptionError) as caught:
            READ.check("maxBytesPerTrigger", value)
        assert caught.value.wanted == "a size such as 2GB or 512MiB"


def test_an_option_that_does_not_exist() -> None:
    with pytest.raises(OptionError) as caught:
        READ.check("delimeter", ",")
    assert caught.value.nearest == "delimiter"


def test_an_option_that_exists_elsewhere_has_a_way_out() -> None:
    with pytest.raises(OptionError) as caught:
        READ.check("badRecordsPath", "x")
    assert "quarantine" in str(caught.value.hint)


def test_an_option_given_twice() -> None:
    with pytest.raises(OptionError, match="twice"):
        READ.check_all([("sep", ","), ("delimiter", ";")])


def test_an_option_that_is_missing() -> None:
    with pytest.raises(OptionError, match="needs the option 'path'"):
        plugins.connector("files").sinks["csv"].check_all([("header", "true")])


def test_only_what_chooses_files_is_part_of_a_source_s_name() -> None:
    refer = plugins.connector("files").refer
    assert refer("in", {"header": True}).key == "files:in"
    assert refer("in", {"path_glob_filter": "a*"}).key == "files:in?pathglobfilter=a*"
