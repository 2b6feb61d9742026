"""The calls of a scenario as a strip: what was tried at each, and what it is about."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

from qanat.crash.trace import Call

_ROW, _GAP, _LEFT = 11, 2, 62
_WIDTH = 1000

# By Okabe and Ito, told apart by those who do not see all colours.
_ABOUT = (
    ("ledger", "#E69F00", re.compile(r"ledger\.db")),
    ("scratch", "#999999", re.compile(r"_qanat/(?:scratch|replay)")),
    ("commit", "#0072B2", re.compile(r"_delta_log|_qanat/commits|_checkpoint_")),
    ("quarantine", "#CC79A7", re.compile(r"__quarantine")),
    ("table", "#009E73", re.compile(r"/tables/|^tables/")),
    ("cache", "#56B4E9", re.compile(r"^\.cache")),
    ("other", "#F0E442", re.compile(r"")),
)


def about(call: Call) -> str:
    """What a call is about.

    >>> about(Call("s", 0, 0, 0, "-", "storage/tables/a/_delta_log", ""))
    'commit'
    """
    path = call.other or call.path
    return next(name for name, _, pattern in _ABOUT if pattern.search(path))


def _square(colour: str, text: str) -> str:
    return f'<span><i style="background:{colour}"></i>{text}</span>'


LEGEND = "".join(
    [
        _square("var(--good)", "survived"),
        _square("var(--bad)", "did harm"),
        _square("var(--none)", "not tried, or cannot happen"),
        *(_square(colour, name) for name, colour, _ in _ABOUT),
    ]
)
"""What the colours mean, as HTML."""


def strip(calls: Sequence[Call], found: Mapping[tuple[str, int], bool]) -> str:
    """An SVG with a column for each call and a row for each kind of fault.

    Args:
        found: by kind and number of the call, whether all was well.
    """
    kinds = sorted({kind for kind, _ in found})
    width = (_WIDTH - _LEFT) / max(len(calls), 1)
    height = (len(kinds) + 1) * (_ROW + _GAP)
    parts = []
    for row, kind in enumerate(kinds):
        y = row * (_ROW + _GAP)
        parts.append(f'<text x="0" y="{y + _ROW - 2}">{escape(kind)}</text>')
        # Neighbours of one colour are one shape: a page of 20,000 shapes opens slowly.
        state = [
            "none" if (w := found.get((kind, n))) is None else "good" if w else "bad"
            for n in range(1, len(calls) + 1)
        ]
        for start, end in _runs(state):
            parts.append(
                f'<rect class="{state[start]}" x="{_LEFT + start * width:.2f}" y="{y}"'
                f' width="{(end - start) * width:.2f}" height="{_ROW}"/>'
            )
    y = len(kinds) * (_ROW + _GAP)
    colours = {name: colour for name, colour, _ in _ABOUT}
    names = [about(c) for c in calls]
    for start, end in _runs(names):
        parts.append(
            f'<rect fill="{colours[names[start]]}" x="{_LEFT + start * width:.2f}" y="{y}"'
            f' width="{(end - start) * width:.2f}" height="{_ROW}"/>'
        )
    for n, call in enumerate(calls):
        parts.append(
            f'<rect fill="transparent" x="{_LEFT + n * width:.2f}" y="0" width="{width:.2f}"'
            f' height="{height}"><title>{n + 1}: {escape(call.site)}</title></rect>'
        )
    body = "".join(parts)
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img">{body}</svg>'


def _runs(values: Sequence[str]) -> list[tuple[int, int]]:
    """Where equal neighbours begin and end.

    >>> _runs(["a", "a", "b"])
    [(0, 2), (2, 3)]
    """
    starts = [n for n, value in enumerate(values) if n == 0 or value != values[n - 1]]
    return list(zip(starts, [*starts[1:], len(values)], strict=True))
