"""A strip: the calls of a scenario as SVG, with what was tried at each and what it is about."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from html import escape

from qanat import plugins
from qanat.crash.case import Case, Verdict
from qanat.crash.trace import Call

Cells = Mapping[tuple[str, int], bool]
"""By kind of fault and number of a call: True if every fault there was survived."""

_WIDTH = 1000
_ROW, _GAP = 11, 2
_FLAGS = 8
_NARROWEST = 4.0
"""The least width of a tried call: of 500 calls each would be only two pixels wide."""

# Most colours are from Okabe and Ito's palette, which colour-blind people can tell apart. Green
# and vermilion are left out: they mean survived and did harm.
_COLOURS = {
    "ledger": "#E69F00",
    "cache": "#8C5A2B",
    "scratch": "#999999",
    "table log": "#0072B2",
    "quarantine": "#CC79A7",
    "data files": "#56B4E9",
    "folders of the storage": "#C9CDD3",
    "sink": "#F0E442",
}


@cache
def _parts() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """By path, the part of the storage that a file belongs to; the first that fits counts."""
    journals = [j for f in plugins.formats() for j in plugins.table_format(f).journals]
    patterns = {
        "ledger": r"(?:^|/)ledger\.db",
        "cache": r"^\.cache",
        "scratch": r"_qanat/(?:scratch|replay)",
        "table log": "|".join(map(re.escape, ("_qanat/commits", *journals))),
        "quarantine": r"__quarantine",
        "data files": r"(?:^|/)tables/",
        "folders of the storage": r"^[^/]*$|(?:^|/)(?:_qanat|tables)$",
        "sink": "",
    }
    return tuple((name, re.compile(pattern)) for name, pattern in patterns.items())


def about(call: Call) -> str:
    """The part of the storage that a call changes, as the legend names it.

    >>> about(Call("s", 0, 0, 0, "-", "storage/tables/a/_delta_log", ""))
    'table log'
    """
    path = call.other or call.path
    return next(name for name, pattern in _parts() if pattern.search(path))


def shown(text: str) -> str:
    """A text, escaped for HTML; characters that cannot be printed are replaced.

    >>> shown("<b>" + chr(0xDC80) + chr(27))
    '&lt;b&gt;��'
    """
    return escape("".join(c if c.isprintable() or c == "\n" else "�" for c in text))


def cells(verdicts: Sequence[Verdict]) -> dict[str, dict[tuple[str, int], bool]]:
    """By scenario, the results at each of its calls.

    >>> cells([Verdict("run names@7 all@8 #1", 2, complaints=("all@8: lost",), seconds=(1, 1))])
    {'run': {('power', 7): True, ('power', 8): False}}
    """
    found: dict[str, dict[tuple[str, int], bool]] = {}
    for verdict in verdicts:
        case = Case.parse(verdict.case)
        happened = verdict.seconds if case.powers else verdict.hits
        if not happened and not verdict.complaints:
            continue
        for place, well in _places(case, verdict.complaints):
            key = (case.kind, place)
            line = found.setdefault(case.scenario, {})
            line[key] = line.get(key, True) and well
    return found


def _places(case: Case, complaints: Sequence[str]) -> Iterator[tuple[int, bool]]:
    # Only the first fault hits a call of the scenario; later ones hit calls of a recovery.
    if case.shots:
        yield case.shots[0].call, not complaints
        return
    disks = [f"{loss}@{call}" for call, loss in case.powers]
    accused = {c.partition(":")[0] for c in complaints}
    everywhere = not accused <= set(disks)
    for (call, _), disk in zip(case.powers, disks, strict=True):
        yield call, not everywhere and disk not in accused


def legend() -> str:
    """The meaning of the colours, as HTML."""
    states = [("var(--good)", "survived"), ("var(--bad)", "did harm")]
    states.append(("var(--none)", "not tried, or cannot happen there"))
    parts = [(colour, name) for name, colour in _COLOURS.items()]
    return f'<p class="legend">{_squares(states)}</p>\n<p class="legend">{_squares(parts)}</p>'


def _squares(meanings: Sequence[tuple[str, str]]) -> str:
    return "".join(f'<span><i style="background:{c}"></i>{text}</span>' for c, text in meanings)


def strip(calls: Sequence[Call], found: Cells, kinds: Sequence[str]) -> str:
    """An SVG with a column for each call and a row for each kind of fault.

    Args:
        calls: the scenario's calls without a fault.
        found: the results at the calls.
        kinds: the kinds of faults, from the top row to the bottom one.
    """
    width = _WIDTH / max(len(calls), 1)
    band = _FLAGS + len(kinds) * (_ROW + _GAP) + _GAP
    parts: list[str] = []
    for row, kind in enumerate(kinds):
        y = _FLAGS + row * (_ROW + _GAP)
        parts += _row(y, width, [found.get((kind, n)) for n in range(1, len(calls) + 1)])
    names = [about(c) for c in calls]
    parts += (
        _rect(f'fill="{_COLOURS[names[start]]}"', start * width, (end - start) * width, band)
        for start, end in _runs(names)
    )
    harm: dict[int, list[str]] = {}
    for kind in kinds:
        for n in range(1, len(calls) + 1):
            if found.get((kind, n)) is False:
                harm.setdefault(n, []).append(kind)
    for n in harm:
        x = (n - 0.5) * width
        parts.append(f'<path class="bad" d="M{x - 5:.2f} 0h10l-5 {_FLAGS - 1}z"/>')
    height = band + _ROW
    for n, call in enumerate(calls, 1):
        ill = f" — did harm: {', '.join(harm[n])}" if n in harm else ""
        parts.append(
            f'<rect class="site" x="{(n - 1) * width:.2f}" y="0" width="{width:.2f}"'
            f' height="{height}"><title>{n}: {shown(call.site + ill)}</title></rect>'
        )
    label = f"{len(calls)} calls, harm at {len(harm)}"
    rows = f"height:{_ROW + _GAP}px;line-height:{_ROW}px"
    texts = "".join(f'<span style="{rows}">{shown(kind)}</span>' for kind in kinds)
    # Fit the strip to the page's width: readers would miss harm to the right of the screen.
    return (
        f'<div class="strip"><div class="names" style="padding-top:{_FLAGS}px">{texts}</div><div>'
        f'<svg viewBox="0 0 {_WIDTH} {height}" height="{height}" preserveAspectRatio="none"'
        f' role="img" aria-label="{label}">{"".join(parts)}</svg>'
        f'<div class="axis">{"".join(_axis(len(calls)))}</div></div></div>'
    )


def _row(y: int, width: float, states: Sequence[bool | None]) -> Iterator[str]:
    # Draw neighbours of one colour as one shape: a page of 20,000 shapes opens slowly.
    names = {None: "none", True: "good", False: "bad"}
    runs = [(names[states[start]], start, end) for start, end in _runs(states)]
    # Draw in the order none, good, bad: widened shapes overlap, and harm must stay visible.
    for name, start, end in sorted(runs, key=lambda r: ("none", "good", "bad").index(r[0])):
        x, wide = start * width, (end - start) * width
        if name != "none" and wide < _NARROWEST:
            x, wide = x - (_NARROWEST - wide) / 2, _NARROWEST
        yield _rect(f'class="{name}"', x, wide, y)


def _rect(look: str, x: float, width: float, y: float) -> str:
    return f'<rect {look} x="{x:.2f}" y="{y:.0f}" width="{width:.2f}" height="{_ROW}"/>'


def _axis(count: int) -> Iterator[str]:
    """Labels with the numbers of evenly spaced calls, about a dozen in all."""
    step = next((s for s in (1, 5, 10, 25, 50, 100, 250, 500) if count <= 12 * s), 1000)
    for n in range(step, count + 1, step):
        yield f'<span style="left:{(n - 0.5) / count:.2%}">{n}</span>'


def _runs(values: Sequence[object]) -> list[tuple[int, int]]:
    """The runs of equal neighbours, each as its start and its end (exclusive).

    >>> _runs(["a", "a", "b"])
    [(0, 2), (2, 3)]
    """
    starts = [n for n, value in enumerate(values) if n == 0 or value != values[n - 1]]
    return list(zip(starts, [*starts[1:], len(values)], strict=True))
