"""The HTML page with the results of a crash test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from qanat import errors
from qanat.crash.case import Verdict
from qanat.crash.glossary import FAULTS, LOSSES, SCENARIOS
from qanat.crash.histogram import histogram
from qanat.crash.report import Report
from qanat.crash.strip import cells, legend, shown, strip
from qanat.crash.trace import Call
from qanat.frozen import Frozen
from qanat.report.html import Part
from qanat.report.page import frame, head

_OPEN = 3
"""Failures that are shown unfolded."""

_STYLE = """
:root { --none: #e9ecf0; }
@media (prefers-color-scheme: dark) { :root { --none: #222b36; } }
td.ill { font-weight: 650; color: var(--bad); } td.why { color: var(--soft); width: 100%; }
.n { text-align: right; white-space: nowrap; } table { width: 100%; }
svg { display: block; width: 100%; }
svg text { fill: var(--soft); font: 10.5px system-ui, sans-serif; }
@media (max-width: 760px) { svg text { font-size: 19px; } }
.strip { display: grid; grid-template-columns: 3.6rem 1fr;
  margin: .2rem 0 .6rem; color: var(--soft); font-size: 10.5px; }
.names span { display: block; } .axis { position: relative; height: 16px; line-height: 16px; }
.axis span { position: absolute; transform: translateX(-50%); }
svg .good { fill: var(--good); } svg .bad { fill: var(--bad); } svg .none { fill: var(--none); }
.site { fill: transparent; } .site:hover { fill: var(--ink); fill-opacity: .35; }
.bar { fill: var(--bar); } .bar:hover { fill: var(--ink); } .grid { stroke: var(--line); }
.mark { stroke: var(--ink); stroke-dasharray: 3 2; }
.legend { font-size: .85rem; max-width: none; margin: 0 0 .2rem; color: var(--soft); }
.legend span { display: inline-block; margin-right: 1.1rem; white-space: nowrap; }
.legend i { display: inline-block; width: .8em; height: .8em; margin-right: .35em;
  border-radius: 2px; vertical-align: -.05em; outline: 1px solid var(--line); }
.origin th { width: 1%; color: var(--soft); font-weight: 400; }
"""
"""What only this page has, beside what the frame brings."""


class Subject(Frozen):
    """What the page is about.

    Args:
        facts: facts to show, by name: which project, when, …
        again: the command that repeats a case, without its `--case` option.
    """

    facts: Mapping[str, str]
    again: str


def page(
    report: Report,
    calls: Mapping[str, Sequence[Call]],
    verdicts: Sequence[Verdict],
    subject: Subject,
) -> str:
    """The results as one self-contained HTML page.

    Args:
        report: the results, added up.
        calls: by scenario, its calls without a fault.
        verdicts: the verdicts that the report adds up.
        subject: what was tested.
    """
    parts = [*_head(report), *_failures(report, subject), *_kinds(report)]
    if calls:
        parts += _strips(calls, verdicts)
    parts += [*_recoveries(report, verdicts), *_errors(report), *_subject(subject)]
    return frame(_sentence(report), *map(Part, parts), style=_STYLE)


def _sentence(report: Report) -> str:
    if not report.tried:
        return "Nothing was tried"
    ill = report.tried - report.survived
    end = f"{report.survived:,} survived" + (f", {ill:,} did harm" if ill else "")
    lost = f"{_count(report.lost, 'row') if report.lost else 'no row'} lost"
    doubled = f"{_count(report.doubled, 'row') if report.doubled else 'none'} doubled"
    return f"{_count(report.tried, 'fault')}, {end}; {lost}, {doubled}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def _head(report: Report) -> Iterator[str]:
    ill = report.failures or not report.tried
    yield head("Qanat crash test", f"{_sentence(report)}.", "bad" if ill else "ok")
    for verdict in report.failures[:1]:
        example = verdict.complaints[0].partition("\n")[0]
        yield f"<p>For example, <code>{shown(verdict.case)}</code>: {shown(example)}</p>"
    facts = [
        ("different calls hit", f"{report.sites:,}"),
        ("deaths in a row, at most", f"{report.deepest}"),
        ("recovery, median", f"{report.median:.2f} s"),
        ("recovery, p99", f"{report.p99:.2f} s"),
        ("recovery, slowest", f"{report.slowest:.2f} s"),
        ("seed", f"{report.seed}"),
    ]
    if not report.tried:
        facts = facts[-1:]
    yield "<dl>"
    yield from (f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
    yield "</dl>"


def _kinds(report: Report) -> Iterator[str]:
    if not report.lines:
        return
    yield "<h2>What was tried</h2>"
    rows = []
    for line in report.lines:
        ill = line.tried - line.survived
        rows.append(
            f'<tr><th>{shown(line.kind)}</th><td class="why">{FAULTS.get(line.kind, "")}</td>'
            f'<td class="n">{line.tried:,}</td><td class="n">{line.survived:,}</td>'
            f'<td class="n{" ill" if ill else ""}">{f"{ill:,}" if ill else "–"}</td></tr>'
        )
    yield _table(("Fault", ""), ("Tried", "Survived", "Did harm"), rows)
    if any(line.kind == "power" for line in report.lines):
        losses = "; ".join(f"<b>{name}</b>: {text}" for name, text in LOSSES.items())
        yield f"<p>What becomes of what was not synced when the power goes: {losses}.</p>"


def _table(texts: Sequence[str], numbers: Sequence[str], rows: Sequence[str]) -> str:
    head = "".join(
        [*(f"<th>{t}</th>" for t in texts), *(f'<th class="n">{n}</th>' for n in numbers)]
    )
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>'
        + "\n".join(rows)
        + "</tbody></table></div>"
    )


def _strips(calls: Mapping[str, Sequence[Call]], verdicts: Sequence[Verdict]) -> Iterator[str]:
    found = cells(verdicts)
    yield "<h2>Where</h2>"
    yield (
        "<p>Each column is a call by which an update changes the disk, from the first on the left"
        " to the last on the right. A row is a kind of fault; the band below says what the call is"
        " about. Point at a column to see its call.</p>"
    )
    yield legend()
    for scenario, made in calls.items():
        state = f"{SCENARIOS[scenario]}, " if scenario in SCENARIOS else ""
        yield f"<h3>{shown(scenario)} <small>{state}{_count(len(made), 'call')}</small></h3>"
        here = found.get(scenario, {})
        tried = {kind for kind, _ in here}
        yield strip(made, here, [kind for kind in FAULTS if kind in tried])


def _recoveries(report: Report, verdicts: Sequence[Verdict]) -> Iterator[str]:
    seconds = [s for v in verdicts for s in v.seconds]
    if seconds:
        yield "<h2>How long recovery took</h2>"
        yield histogram(seconds, report.median, report.p99)


def _errors(report: Report) -> Iterator[str]:
    if not report.errors:
        return
    yield "<h2>Errors that updates ended with</h2>"
    yield (
        "<p>These are expected: an update that meets a broken disk, or another update, has to say"
        " so and end. The others died without a word, or went on. An error that the fault does not"
        " explain counts as harm.</p>"
    )
    known = {
        e.code: e
        for e in vars(errors).values()
        if isinstance(e, type) and issubclass(e, errors.QanatError)
    }
    rows = []
    for code, times in sorted(report.errors.items(), key=lambda e: (-e[1], e[0])):
        error = known.get(code)
        name = error.__name__ if error else ""
        about = ((error.__doc__ if error else None) or "").strip().partition("\n")[0]
        rows.append(
            f"<tr><th>{shown(code)}</th><td>{name}</td>"
            f'<td class="why">{shown(about)}</td><td class="n">{times:,}</td></tr>'
        )
    yield _table(("Code", "Error", ""), ("Times",), rows)


def _subject(subject: Subject) -> Iterator[str]:
    yield "<h2>What was tested</h2>"
    facts = subject.facts.items()
    rows = (f"<tr><th>{shown(name)}</th><td>{shown(value)}</td></tr>" for name, value in facts)
    yield f'<table class="origin"><tbody>{"".join(rows)}</tbody></table>'


def _failures(report: Report, subject: Subject) -> Iterator[str]:
    if not report.failures:
        return
    yield "<h2>What did harm</h2>"
    yield (
        f"<p>{_count(len(report.failures), 'case')}. A case is a project's state and what went"
        " wrong at which of the calls; beneath it is what tries it again.</p>"
    )
    for number, verdict in enumerate(report.failures):
        lines = [*(f"at {s}" for s in verdict.sites), *verdict.complaints]
        command = f'{subject.again} --case "{verdict.case}"'
        unfolded = " open" if number < _OPEN else ""
        yield (
            f'<details class="bad"{unfolded}><summary>{shown(verdict.case)}</summary>'
            f"<pre>{shown(chr(10).join(lines))}</pre>"
            f"<p><code>{shown(command)}</code></p></details>"
        )
