"""What a crash test has found, as a page to look at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from qanat.crash.case import Case, Verdict
from qanat.crash.report import Report
from qanat.crash.strip import LEGEND, strip
from qanat.crash.trace import Call

_BARS = 24
_STYLE = """
:root { color-scheme: light dark; --ink: #1b2430; --soft: #5f6b7a; --page: #fff; --line: #d7dde5;
  --good: #2b7bba; --bad: #d1470f; --none: #eceff3; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf2; --soft: #96a3b5; --page: #12171e;
  --line: #2b3542; --good: #4f9fdc; --bad: #ff7a3d; --none: #212933; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  max-width: 1040px; margin: 2.5rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
p, li { color: var(--soft); } strong { color: var(--ink); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem 1rem .25rem 0; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
svg { display: block; width: 100%; height: auto; margin: .3rem 0 1rem; }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif; }
.good { fill: var(--good); } .bad { fill: var(--bad); } .none { fill: var(--none); }
.failed { color: var(--bad); }
pre { background: var(--none); padding: .8rem; overflow-x: auto; border-radius: 6px; }
.legend span { display: inline-block; margin-right: 1.1rem; white-space: nowrap; }
.legend i { display: inline-block; width: .8em; height: .8em; margin-right: .35em;
  border-radius: 2px; vertical-align: -.05em; }
"""


def page(
    report: Report,
    calls: Mapping[str, Sequence[Call]] | None = None,
    verdicts: Sequence[Verdict] = (),
) -> str:
    """One HTML page that needs nothing else.

    Args:
        calls: by scenario, what it does to the disk undisturbed.
        verdicts: those that the report adds up.
    """
    parts = [*_head(report), *_kinds(report)]
    if calls:
        parts += _strips(calls, verdicts)
    parts += [*_recoveries(report, verdicts), *_errors(report), *_failures(report)]
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Qanat crash test</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _head(report: Report) -> Iterator[str]:
    bad = report.tried - report.survived
    yield "<h1>Crash test</h1>"
    if bad:
        said = f'<strong class="failed">{bad:,} of {report.tried:,} faults did harm.</strong>'
    else:
        said = f"<strong>{report.tried:,} faults, all survived.</strong>"
    yield (
        f"<p>{said} Rows lost: {report.lost:,}, doubled: {report.doubled:,}. Something went wrong"
        f" on purpose at {report.sites:,} different calls; up to {report.deepest} updates died in"
        f" a row. Drawn by seed {report.seed}.</p>"
    )


def _kinds(report: Report) -> Iterator[str]:
    yield "<table><tr><th>Fault</th><th>Tried</th><th>Survived</th><th>Not survived</th></tr>"
    for line in report.lines:
        bad = line.tried - line.survived
        mark = f'<td class="failed">{bad:,}</td>' if bad else "<td>–</td>"
        yield (
            f"<tr><td>{escape(line.kind)}</td><td>{line.tried:,}</td>"
            f"<td>{line.survived:,}</td>{mark}</tr>"
        )
    yield "</table>"


def _strips(calls: Mapping[str, Sequence[Call]], verdicts: Sequence[Verdict]) -> Iterator[str]:
    found: dict[str, dict[tuple[str, int], bool]] = defaultdict(dict)
    for verdict in verdicts:
        case = Case.parse(verdict.case)
        if not verdict.hits:
            continue
        places = [call for call, _ in case.powers] or [case.shots[0].call]
        for place in places:
            key = (case.kind, place)
            found[case.scenario][key] = found[case.scenario].get(key, True) and not (
                verdict.complaints
            )
    yield "<h2>Where</h2>"
    yield (
        "<p>Each column is a call by which an update changes the disk, in order; the band below"
        " says what it is about. Point at a column to see the call.</p>"
    )
    yield f'<p class="legend">{LEGEND}</p>'
    for scenario, made in calls.items():
        yield f"<p><strong>{escape(scenario)}</strong>, {len(made):,} calls</p>"
        yield strip(made, found[scenario])


def _recoveries(report: Report, verdicts: Sequence[Verdict]) -> Iterator[str]:
    yield "<h2>Recovery</h2>"
    yield (
        f"<p>Running again and verifying everything took {report.median:.2f} s in the median,"
        f" {report.p99:.2f} s in 99 of 100 cases, {report.slowest:.2f} s at most.</p>"
    )
    seconds = [s for v in verdicts for s in v.seconds]
    if not seconds:
        return
    top = report.slowest or 1.0
    counts = [0] * _BARS
    for each in seconds:
        counts[min(int(each / top * _BARS), _BARS - 1)] += 1
    highest, width = max(counts), 1000 / _BARS
    bars = "".join(
        f'<rect class="good" x="{n * width:.1f}" y="{104 - 100 * c / highest:.1f}"'
        f' width="{width - 2:.1f}" height="{100 * c / highest:.1f}"><title>{c:,} recoveries of'
        f" {n * top / _BARS:.2f} to {(n + 1) * top / _BARS:.2f} s</title></rect>"
        for n, c in enumerate(counts)
    )
    marks = "".join(
        f'<text x="{x * 1000:.0f}" y="120" text-anchor="{anchor}">{x * top:.2f} s</text>'
        for x, anchor in ((0, "start"), (0.25, "middle"), (0.5, "middle"), (0.75, "middle"))
    )
    end = f'<text x="1000" y="120" text-anchor="end">{top:.2f} s</text>'
    yield f'<svg viewBox="0 0 1000 126" role="img">{bars}{marks}{end}</svg>'


def _errors(report: Report) -> Iterator[str]:
    if not report.errors:
        return
    yield "<h2>Errors</h2>"
    yield "<p>With these an update ended that could not go on, having done no harm.</p>"
    yield "<table><tr><th>Code</th><th>Times</th></tr>"
    for code, times in report.errors.items():
        yield f"<tr><td>{escape(code)}</td><td>{times:,}</td></tr>"
    yield "</table>"


def _failures(report: Report) -> Iterator[str]:
    if not report.failures:
        return
    yield "<h2>What was not survived</h2>"
    for verdict in report.failures:
        lines = [*(f"at {s}" for s in verdict.sites), *verdict.complaints]
        yield f"<p><strong>{escape(verdict.case)}</strong></p>"
        yield f"<pre>{escape(chr(10).join(lines))}</pre>"
