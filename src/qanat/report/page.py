"""The frame of Qanat's HTML pages: one file each, which loads nothing and runs nothing.

A page is read on paper-white and on dark screens, from 400 pixels up, by keyboard and by screen
readers: it has headings, real tables, folds that are `<details>`, and colours of at least 4.5 : 1.
Its content security policy forbids scripts and everything from elsewhere, whatever a name or a
value holds. `plots` draws what stands in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from qanat.disk import whole_file
from qanat.report import html, plots
from qanat.report.html import Inline, Mood, Part, text
from qanat.text import Value, cell_of

_STYLE = """
:root { color-scheme: light dark; --ink: #1b2430; --soft: #566272; --page: #fff; --line: #dde2e9;
  --faint: #f1f3f6; --good: #00724f; --bad: #b93600; --odd: #8a5a00; --link: #1257b5;
  --bar: #5f86bd; --band: #d9e5f5; --curve: #1f5fae;
  --q-green: #00724f; --q-red: #b93600; --q-yellow: #8a5a00; --q-cyan: #0b6477;
  --q-grey: #566272; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf2; --soft: #9aa7b8; --page: #12171e;
  --line: #2b3542; --faint: #1a212a; --good: #4fc79c; --bad: #ff8a55; --odd: #e5b04a;
  --link: #8ab8ff; --bar: #5f86b5; --band: #24374f; --curve: #86b4ee;
  --q-green: #4fc79c; --q-red: #ff8a55; --q-yellow: #e5b04a; --q-cyan: #62c1d6;
  --q-grey: #9aa7b8; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  max-width: 1200px; margin: 2.5rem auto 5rem; padding: 0 1.25rem; overflow-wrap: break-word; }
h1 { font-size: 1rem; font-weight: 600; color: var(--soft); margin: 0 0 .4rem; }
h2 { font-size: 1.15rem; margin: 2.8rem 0 .5rem; }
h3 { font-size: .95rem; margin: 1.3rem 0 .2rem; }
h2 small, h3 small, summary small { font-weight: 400; font-size: .85rem; color: var(--soft); }
p { margin: .3rem 0 .8rem; max-width: 46rem; } p.soft, small { color: var(--soft); }
.verdict { font-size: 1.65rem; line-height: 1.3; font-weight: 650; max-width: none;
  margin: 0 0 1.4rem; } .ok { color: var(--good); } .bad { color: var(--bad); }
a { color: var(--link); } a:focus-visible, summary:focus-visible, .wide:focus-visible {
  outline: 2px solid var(--link); outline-offset: 2px; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: 1px;
  margin: 0; background: var(--line); border: 1px solid var(--line); border-radius: 8px;
  overflow: hidden; }
dl div { background: var(--page); padding: .6rem .9rem; }
dt { color: var(--soft); font-size: .82rem; }
dd { margin: 0; font-size: 1.3rem; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; margin: .2rem 0 .8rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; min-width: 50%; }
th, td { padding: .3rem 1.2rem .3rem 0; text-align: left; vertical-align: baseline;
  border-bottom: 1px solid var(--line); white-space: pre-wrap; max-width: 34rem; }
th { font-weight: 600; white-space: nowrap; } thead th { color: var(--soft); font-size: .85rem; }
.r { text-align: right; white-space: nowrap; } .s { white-space: nowrap; }
details { margin: .5rem 0; border-left: 3px solid var(--line); padding: .1rem 0 .1rem .9rem; }
details.bad { color: inherit; border-color: var(--bad); }
details.odd { border-color: var(--odd); } details.ok { color: inherit; border-color: var(--good); }
summary { cursor: pointer; font-weight: 600; }
pre, code { font: 12.5px/1.5 ui-monospace, Menlo, Consolas, monospace; }
pre { background: var(--faint); padding: .7rem .9rem; border-radius: 6px; margin: .5rem 0;
  white-space: pre-wrap; overflow-wrap: anywhere; }
nav ul { list-style: none; padding: 0; margin: 1.2rem 0 0; display: flex; flex-wrap: wrap;
  gap: .2rem 1.2rem; }
/* On a phone, a long name breaks, so that what is said of it is in sight without scrolling. */
@media (max-width: 640px) { th, td { padding-right: .8rem; }
  .name { display: inline-block; width: max-content; max-width: 10rem; white-space: normal;
    vertical-align: top; } }
"""
# Neither scripts nor anything from elsewhere, also where a name or a message contains HTML.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def frame(title: str, *parts: Part, style: str = "") -> str:
    """A whole page.

    Args:
        title: of the window; plain text.
        parts: what stands in it, in order, such as `head`, `section` and `table` make.
        style: further rules of CSS, for what only this page has.

    >>> frame("A & B", paragraph("x")).count("A &amp; B")
    1
    """
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{_STYLE}{plots.STYLE}{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def head(subject: str, verdict: str, mood: Mood = "plain", remark: str = "") -> Part:
    """The top of a page: what it is about, and in one sentence what there is to know."""
    kind = "" if mood == "plain" else f" {mood}"
    below = f'<p class="soft">{text(remark)}</p>' if remark else ""
    return Part(f'<h1>{text(subject)}</h1>\n<p class="verdict{kind}">{text(verdict)}</p>{below}')


def section(title: str, *parts: Part, anchor: str = "", remark: str = "", level: int = 2) -> Part:
    """A heading and what belongs below it; empty if nothing does.

    Args:
        anchor: the part of its address behind `#`: letters, digits and hyphens.
        remark: beside the heading.
        level: 2, or 3 for a part of a section.
    """
    if not any(parts):
        return Part("")
    id_ = f' id="{text(anchor)}"' if anchor else ""
    small = f" <small>{text(remark)}</small>" if remark else ""
    inner = "\n".join(parts)
    return Part(f"<section><h{level}{id_}>{text(title)}{small}</h{level}>\n{inner}</section>")


def contents(entries: Mapping[str, str]) -> Part:
    """Links to the sections of a long page: anchor → title."""
    links = (f'<li><a href="#{text(a)}">{text(title)}</a></li>' for a, title in entries.items())
    return Part(f'<nav aria-label="Sections"><ul>{"".join(links)}</ul></nav>')


def folded(
    summary: str, *parts: Part, mood: str = "", remark: str = "", unfolded: bool = False
) -> Part:
    """Parts that a reader unfolds, by mouse or keyboard.

    Args:
        mood: `bad`, `odd`, `ok` or empty: the colour of its edge.
    """
    kind = f' class="{mood}"' if mood else ""
    small = f" <small>{text(remark)}</small>" if remark else ""
    inner = "\n".join(parts)
    start = f"<details{kind}{' open' if unfolded else ''}>"
    return Part(f"{start}<summary>{text(summary)}{small}</summary>\n{inner}</details>")


def paragraph(line: str, mood: str = "") -> Part:
    """A paragraph of plain text. `mood`: `soft`, `ok`, `bad` or empty."""
    kind = f' class="{mood}"' if mood else ""
    return Part(f"<p{kind}>{text(line)}</p>")


def code(lines: str) -> Part:
    """Text of equal letters, its lines kept."""
    return Part("<pre>" + "\n".join(map(text, lines.split("\n"))) + "</pre>")


def facts(values: Mapping[str, Value]) -> Part:
    """A few figures with their names, side by side; empty for none."""
    if not values:
        return Part("")
    each = (
        f"<div><dt>{text(name)}</dt><dd>{text(cell_of(value).text)}</dd></div>"
        for name, value in values.items()
    )
    return Part(f"<dl>{''.join(each)}</dl>")


def table(headers: Sequence[str], rows: Iterable[Sequence[Value | Inline]], label: str) -> Part:
    """A table as `qanat.report.html` has it, which scrolls by itself where it is too wide.

    Args:
        label: what screen readers call it.
    """
    return scrolling(html.table(headers, rows), label)


def name(value: str) -> Inline:
    """A cell with a name, which may be long: on a phone, it breaks, best between its words."""
    shown = text(value).replace("_", "_<wbr>").replace(".", ".<wbr>")
    return Inline(Part(f'<span class="name">{shown}</span>'))


def scrolling(part: Part, label: str) -> Part:
    """What may be wider than the page: it scrolls by itself, by keyboard too."""
    return Part(
        f'<div class="wide" role="region" tabindex="0" aria-label="{text(label)}">{part}</div>'
    )


def write(path: Path, content: str) -> None:
    """Put a page where it belongs, whole or not at all; a file that is there is replaced.

    Raises:
        AdapterError: it cannot be written.
    """
    with whole_file(path) as part:
        part.write_text(content, encoding="utf-8")
