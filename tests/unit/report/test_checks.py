"""What `qanat test` and `qanat suggest` show where there is little room."""

from __future__ import annotations

from qanat.errors import Location
from qanat.model.backtest import CheckTrials, Trial
from qanat.model.expectation import Action, Expectation
from qanat.model.rule import Predicate
from qanat.model.suggestion import DatasetSuggestions, Suggestion
from qanat.report.checks import checks_text
from qanat.report.suggest import suggestions_text
from qanat.run.checked import RuleCheck
from qanat.text import Layout

MEAN = "TABLE (avg(amount) BETWEEN 0 AND 500)"
CHECKS = (
    RuleCheck("orders", "amount_mean", MEAN, "warn", 9, 1, "avg(amount) = 501"),
    RuleCheck("orders", "known", "id IS NOT NULL", "fail", 9, 0),
)


def test_a_narrow_terminal_shows_what_violated_rules_ask_for_and_measured() -> None:
    assert f"{MEAN}: avg(amount) = 501" in checks_text(CHECKS)
    narrow = checks_text(CHECKS, Layout(width=60))
    assert "more column: Condition" in narrow
    assert f"orders.amount_mean:\n  {MEAN}: avg(amount) = 501\n" in narrow
    assert "orders.known:" not in narrow


def test_a_narrow_terminal_shows_a_suggestion_as_a_paragraph() -> None:
    paid = Expectation("paid", Predicate("amount > 0", "duckdb"), Action.WARN, Location("a.sql"))
    tried = CheckTrials(paid, (Trial("f", 1, "u", 0.0, 50, 0, False),))
    why = "0.5 to 90 in 200 values, and none of the rows has another sign"
    found = [DatasetSuggestions("orders", 200, 4, 1, (Suggestion(paid, why, tried),))]
    assert f"paid   amount > 0  0 of 50 rows  {why}" in suggestions_text(found)
    assert suggestions_text(found, Layout(width=60)).splitlines()[2:6] == [
        "Check",
        "paid: amount > 0",
        "  held out: 0 of 50 rows; 0.5 to 90 in 200 values, and none",
        "  of the rows has another sign",
    ]
