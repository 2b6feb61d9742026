"""Patterns of paths."""

from __future__ import annotations

import pytest

from qanat.connectors.files.glob import Glob, alternatives, has_wildcard, name_regex
from qanat.errors import OptionError


@pytest.mark.parametrize(
    ("pattern", "path", "meant"),
    [
        ("*.csv", "a.csv", True),
        ("*.csv", "a.csv.gz", False),
        ("*.csv", "in/a.csv", False),
        ("*.csv", ".a.csv", False),
        ("*.csv", "_a.csv", False),
        (".*.csv", ".a.csv", True),
        ("_*", "_a.csv", True),
        ("*", "_part=1.csv", True),
        ("**/a.csv", "a.csv", True),
        ("**/a.csv", "x/y/a.csv", True),
        ("**/a.csv", "x/.git/a.csv", False),
        ("**/y/**/a.csv", "x/y/z/a.csv", True),
        ("**/y/**/a.csv", "x/z/a.csv", False),
        ("**", "x/y/a.csv", True),
        ("**/**", "a.csv", True),
        ("x/**", "a.csv", False),
        ("?.csv", "ü.csv", True),
        ("?.csv", "\n.csv", True),
        ("[a-c]*.csv", "b1.csv", True),
        ("[!a-c].csv", "b.csv", False),
        ("[^a-c].csv", "d.csv", True),
        ("[]a].csv", "].csv", True),
        ("[[]a].csv", "[a].csv", True),
        ("[a.csv", "[a.csv", True),
        ("[!].csv", "[!].csv", True),
        ("{a,b{1,2}}.csv", "b2.csv", True),
        ("{a,b{1,2}}.csv", "b.csv", False),
        ("{a,*z}.csv", "xz.csv", True),
        ("{a.csv", "{a.csv", True),
        ("a+(b).csv", "a+(b).csv", True),
        ("a.c", "abc", False),
    ],
)
def test_what_a_pattern_means(pattern: str, path: str, meant: bool) -> None:
    glob = Glob.of("", *pattern.split("/"))
    assert glob.accepts_path(path) is meant


@pytest.mark.parametrize(
    ("pattern", "base", "parts"),
    [
        ("/data/in/*.csv", "/data/in", ("*.csv",)),
        ("/*.csv", "/", ("*.csv",)),
        ("*.csv", "", ("*.csv",)),
        ("in/*/", "in", ("*", "*")),
        ("in/a*/b/c.csv", "in", ("a*", "b", "c.csv")),
    ],
)
def test_the_fixed_folder(pattern: str, base: str, parts: tuple[str, ...]) -> None:
    glob = Glob.parse(pattern)
    assert (glob.base, glob.parts) == (base, parts)


def test_many_stars_end_soon() -> None:
    assert not Glob.of("", *["**"] * 12, "x").accepts_path("/".join("a" * 200))
    assert name_regex("*" * 40 + "b").fullmatch("a" * 200) is None


def test_alternatives_are_limited() -> None:
    with pytest.raises(OptionError, match="1,000"):
        alternatives("{a/,b/}" * 11)


def test_a_range_from_high_to_low_is_refused() -> None:
    with pytest.raises(OptionError, match="bad character range"):
        name_regex("[z-a]")


def test_a_plain_name_is_no_pattern() -> None:
    assert not has_wildcard("in/a b!(1)-ü.csv")
