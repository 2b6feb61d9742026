"""`qanat validate`: everything that can be known without running, all errors at once."""

from __future__ import annotations

from collections import Counter

import click

from qanat.cli import documents, failure, screen
from qanat.cli.documents.project import validation_document
from qanat.cli.options import Place, output, place
from qanat.observe.terminal.amounts import count
from qanat.run.results import Validation
from qanat.run.session import Session
from qanat.run.validate import validate


@click.command("validate", short_help="Check the whole project without running it.")
@place
@output
def command(place: Place, json: bool) -> int:
    """Check the whole project without running it.

    Reads the spec and all transformation files, resolves every name, column, type and function,
    and reports all problems at once. Writes nothing.
    """
    with Session.open(place.start, place.environment) as workspace:
        result = validate(workspace)
    if json:
        screen.write(documents.dumps(validation_document(result)))
    elif result.problems:
        screen.note(failure.describe_all(result.problems, place.start))
    else:
        screen.write(_summary(result))
    return 2 if result.problems else 0


def _summary(result: Validation) -> str:
    kinds = Counter(kind for _, kind in result.datasets)
    parts = [count(number, kind) for kind, number in kinds.items()]
    parts += [count(result.flows, "flow"), count(result.expectations, "expectation")]
    return f"Everything is in order: {', '.join(parts)}."
