"""Everything that is wrong with a project, found without running it."""

from __future__ import annotations

from collections import Counter

from qanat.frozen import Frozen
from qanat.report.html import heading, page
from qanat.report.keys import VERSION_KEY
from qanat.report.shape import Key, Shape
from qanat.run.results import Validation
from qanat.text import count, printable


class NamedDataset(Frozen):
    """A dataset by its name and kind."""

    dataset: str
    kind: str


NAMED = Shape("NamedDataset", NamedDataset, ("dataset", "kind"), "A declared dataset.")
VALIDATION = Shape(
    "ValidationDocument",
    Validation,
    (
        VERSION_KEY,
        Key("valid", of=bool, make=lambda result: not result.problems),
        "problems",
        Key(
            "datasets",
            of=list[NamedDataset],
            make=lambda result: [NamedDataset(*d) for d in result.datasets],
        ),
        *("flows", "expectations", "notes"),
    ),
    "`datasets` in the order an update would take them; `problems` are errors with their facts;\n"
    "`notes` tell what of data contracts is not checked, and why.",
)
PARTS = (NAMED,)


def validation_text(result: Validation) -> str:
    """What is declared, where nothing is wrong with it."""
    kinds = Counter(kind for _, kind in result.datasets)
    parts = [count(number, kind) for kind, number in kinds.items()]
    parts += [count(result.flows, "flow"), count(result.expectations, "expectation")]
    notes = "".join(f"\nnot checked: {printable(note)}" for note in result.notes)
    return f"Everything is in order: {', '.join(parts)}.{notes}"


def validation_html(result: Validation) -> str:
    """The same for a notebook, with all problems."""
    if not result.problems:
        return page(heading(validation_text(result), "ok"))
    head = heading(f"{count(len(result.problems), 'problem')} in the project.", "bad")
    return page(head, *(heading(f"{p.code} {p}", "plain") for p in result.problems))
