"""More checks in a file of checks, which stays as it is."""

from __future__ import annotations

import pytest
import yaml

from qanat import check
from qanat.declare.check.adding import with_added

CHECKS = [check.not_null("id").fail(), check.between("price", 0, 9).nulls_pass()]
ADDED = """\
      - not_null: id
        action: fail
      - between: {column: price, min: 0, max: 9}
        nulls: pass
"""


@pytest.mark.parametrize("text", ["", "\n"])
def test_a_new_file(text: str) -> None:
    made = with_added(text, "orders", CHECKS)
    assert made == f"{text}checks:\n  - dataset: orders\n    checks:\n{ADDED}"


def test_comments_alone_stay_at_the_top() -> None:
    made = with_added("# later", "orders", CHECKS)
    assert made == f"# later\nchecks:\n  - dataset: orders\n    checks:\n{ADDED}"


GROUP = "checks:\n  - dataset: orders  # ours\n    checks:\n      - unique: id  # the key\n"


def test_the_group_of_the_dataset_gains_them() -> None:
    assert with_added(f"{GROUP}# the end\n", "Orders", CHECKS) == f"{GROUP}{ADDED}# the end\n"
    assert with_added(GROUP.rstrip("\n"), "orders", CHECKS) == f"{GROUP}{ADDED}"


@pytest.mark.parametrize(
    "more", ["    action: fail\n", "    tagged: gold\n", "    parameters: {most: 3}\n"]
)
def test_a_group_that_says_more_is_left_alone(more: str) -> None:
    text = GROUP + more
    made = with_added(text, "orders", CHECKS)
    assert made == f"{text}  - dataset: orders\n    checks:\n{ADDED}"


def test_lists_without_indentation_and_other_line_ends() -> None:
    text = "checks:\r\n- dataset: orders\r\n  checks:\r\n  - unique: id\r\nversion: 1\r\n"
    made = with_added(text, "orders", CHECKS[:1])
    more = "  - not_null: id\r\n    action: fail\r\n"
    assert made == text.replace("version: 1", f"{more}version: 1")


def test_what_comes_after_a_text_of_several_lines() -> None:
    first = "checks:\n- dataset: orders\n  checks:\n  - sql: |\n      a > 0\n    name: a\n"
    text = f"{first}  - sql: |\n      b > 0\n"
    made = with_added(text, "orders", CHECKS[:1])
    assert made is not None
    assert made.startswith(text)
    assert yaml.safe_load(made)["checks"][0]["checks"][2] == {"not_null": "id", "action": "fail"}


@pytest.mark.parametrize(
    "text",
    [
        "checks: [{dataset: orders, checks: [{unique: id}]}]\n",
        "checks: [\n",
        "- a\n",
        "parameters: {a: 1}\n",
        "checks:\n",
    ],
)
def test_what_is_written_in_an_unusual_way_is_not_touched(text: str) -> None:
    assert with_added(text, "orders", CHECKS) is None


def test_the_checks_of_a_group_in_braces_are_not_touched_either() -> None:
    text = "checks:\n  - dataset: orders\n    checks: [{unique: id}]\n"
    assert with_added(text, "orders", CHECKS) == f"{text}  - dataset: orders\n    checks:\n{ADDED}"


def test_values_with_line_breaks() -> None:
    """In a new file, in a new group and at the end of one."""
    values = ["a\nb", "\n", "a\u2028b", "a\r\n\r\nb", "C:\\x\n", "\x85", "plain"]
    one = check.one_of("no\nte", values)
    for text in ("", "checks:\n  - dataset: other\n    checks: [{unique: id}]\n", GROUP):
        made = with_added(text, "orders", [one])
        assert made is not None
        said = yaml.safe_load(made)["checks"]
        written = next(g for g in said if g["dataset"] == "orders")["checks"][-1]
        assert written == {"one_of": {"column": "no\nte", "values": values}}
