"""What checks would have done with past updates."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from qanat.model.backtest import Backtest, CheckTrials, Trial, Unseen
from qanat.model.expectation import Action
from qanat.report.html import Part, heading, page, table
from qanat.report.keys import VERSION_KEY, moment
from qanat.report.shape import Key, Shape
from qanat.text import PLAIN, Cell, Layout, Value, count, grid, percent, printable

TRIAL = Shape(
    "Trial",
    Trial,
    (
        *("flow", "epoch", "update"),
        Key("ended", of=str, make=lambda trial: moment(trial.ended)),
        *("rows", "violations", "blocks", "value"),
    ),
    "What a check would have done with the rows of one epoch: how many violate it, and whether\n"
    "nothing of it would have been published. `value` is what a check of the table measured.",
)
CHECK = Shape(
    "BacktestedCheck",
    CheckTrials,
    (
        Key("check", "expectation.name"),
        Key("text", "expectation.text"),
        Key("action", "expectation.action"),
        *("rows", "violations", "share", "violated", "blocked", "released", "problem", "trials"),
    ),
    "What one check would have done with the past updates, newest first: `violated`, `blocked`\n"
    "count updates. `released` are rows in quarantine that would pass now. `problem` says why it\n"
    "could not be tried, or not fully.",
)
UNSEEN = Shape(
    "Unseen", Unseen, ("epochs", "reason"), "Past updates that could not be looked at, and why."
)
BACKTEST = Shape(
    "Backtest",
    Backtest,
    ("dataset", "updates", "looked", "rows", "dropped", "checks", "unseen"),
    "What checks of one dataset would have done with its past updates, each an epoch: `updates`\n"
    "were asked for, `looked` were looked at. `dropped` are rows that these updates dropped:\n"
    "they are gone, so no check was tried on them.",
)
BACKTESTS = Shape(
    "BacktestDocument",
    Sequence[Backtest],
    (VERSION_KEY, Key("backtests", of=list[Backtest], make=list)),
    "One entry for each dataset that has checks and past updates.",
)
PARTS = (BACKTEST, CHECK, TRIAL, UNSEEN)

_HEADERS = ("Check", "Action", "Violations", "Share", "In updates", "Blocked")
_SPARE = ("Action", "Share", "In updates")
_NONE = "No chosen dataset has both checks and past updates to try them on."
_DONE = {
    Action.WARN: "warned of",
    Action.DROP: "dropped",
    Action.QUARANTINE: "quarantined",
    Action.FAIL: "found",
}


def backtests_text(found: Sequence[Backtest], layout: Layout = PLAIN) -> str:
    """A table of all checks, and what could not be looked at."""
    if not found:
        return _NONE
    lines = grid(_HEADERS, [_row(b, c) for b in found for c in b.checks], layout, _SPARE)
    lines.append("")
    for each in found:
        lines += [
            f"{_name(each, c)}: {note}" for c in each.checks for note in _notes(c, replay_of(each))
        ]
        lines.append(_sum(each))
    return "\n".join(map(printable, lines))


def backtests_html(found: Sequence[Backtest]) -> str:
    """The same for a notebook."""
    if not found:
        return page(heading(_NONE, "plain"))
    parts: list[Part] = [table(_HEADERS, [_row(b, c) for b in found for c in b.checks])]
    return page(*parts, *(heading(_sum(each), "plain") for each in found))


def outcome(check: CheckTrials, replay: str) -> str:
    """What a check would have done, as half a sentence.

    Args:
        replay: the command that moves rows in quarantine that pass now into the table.

    >>> from qanat.errors import Location
    >>> from qanat.model.expectation import Expectation
    >>> from qanat.model.rule import Predicate
    >>> here = Location("a.sql")
    >>> paid = Expectation("paid", Predicate("amount > 0", "duckdb"), Action.FAIL, here)
    >>> trials = [Trial("f", n, "u", 0.0, 50, n == 1, n == 1) for n in range(3)]
    >>> outcome(CheckTrials(paid, tuple(trials)), "qanat quarantine replay orders")
    'would have blocked 1 of 3 updates (1 row of 150 violates it)'
    """
    tried = count(len(check.trials), "update")
    if not check.trials:
        return f"could not be tried: {check.problem}" if check.problem else "had nothing to try"
    of, action = f"of {tried}", check.expectation.action
    rows, one = check.rows, check.violations == 1
    broken = f"{count(check.violations, 'row')} of {rows:,} {'violates' if one else 'violate'} it"
    if not check.expectation.rule.level.of_rows:
        last = next((t.value for t in check.trials if t.violations and t.value), None)
        measured = f", the last time with {last}" if last else ""
        verb = "blocked" if action is Action.FAIL else "been violated in"
        said = f"would have {verb} {check.violated or 'none'} {of}{measured}"
    elif action is Action.FAIL:
        said = f"would have blocked {check.blocked or 'none'} {of} ({broken})"
    elif not check.violations:
        said = f"would have {_DONE[action]} no row of {rows:,} in {tried}"
    else:
        share = f"{_share(check)} of the rows ({check.violations:,} of {rows:,})"
        said = f"would have {_DONE[action]} {share} in {check.violated:,} {of}"
        said += f", and blocked {check.blocked:,}" if check.blocked else ""
    return "; ".join([said, *_notes(check, replay)])


def replay_of(backtest: Backtest) -> str:
    """The command that moves rows in quarantine that pass now into the table."""
    return f"qanat quarantine replay {shlex.quote(backtest.dataset)}"


def _notes(check: CheckTrials, replay: str) -> Iterator[str]:
    if check.released:
        rows = count(check.released, "row")
        yield f"{rows} in quarantine would pass now ({replay})"
    if check.problem:
        yield check.problem


def _share(check: CheckTrials) -> str:
    return percent(check.share)


def _name(backtest: Backtest, check: CheckTrials) -> str:
    return f"{backtest.dataset}.{check.expectation.name}"


def _row(backtest: Backtest, check: CheckTrials) -> list[Value]:
    name, tried = _name(backtest, check), len(check.trials)
    action = str(check.expectation.action)
    if not tried:
        return [name, action, None, None, None, None]
    bad = check.blocked > 0
    colour = "red" if bad else "yellow" if check.violations else "green"
    return [
        name,
        action,
        check.violations,
        Cell(_share(check), right=True) if check.rows else None,
        Cell(f"{check.violated:,} of {tried:,}", colour, right=True),
        Cell(f"{check.blocked:,}", "red" if bad else None, right=True),
    ]


def _sum(backtest: Backtest) -> str:
    looked = f"{count(backtest.looked, 'update')} with {count(backtest.rows, 'row')}"
    said = f"{backtest.dataset}: tried on {looked}"
    left = [f"{count(u.epochs, 'update')} left out: {u.reason}" for u in backtest.unseen]
    if backtest.dropped:
        gone = "was dropped and is gone" if backtest.dropped == 1 else "were dropped and are gone"
        left.append(f"{count(backtest.dropped, 'row')} {gone}: not tried")
    return "; ".join([said, *left])
