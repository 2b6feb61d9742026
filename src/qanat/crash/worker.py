"""A process with the injector preloaded that tries cases: `python -m qanat.crash.worker FOLDER`.

It reads one JSON object a line from its standard input and answers each with one. What an update
needs is imported before the first case, so that an attempt is a fork away.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from qanat.crash.case import Case, Scenario
from qanat.crash.ending import die_with
from qanat.crash.injector import Injector
from qanat.crash.reference import Reference
from qanat.crash.slot import Slot
from qanat.errors import QanatError


def serve(slot: Slot) -> None:
    """Answer requests until there are no more."""
    # Had whoever asks ended before, there would be nothing to read.
    die_with()
    Injector()  # or else nothing would ever go wrong
    references: dict[str, Reference] = {}
    for line in sys.stdin:
        try:
            answer = _answer(slot, json.loads(line), references)
        except QanatError as error:
            answer = {"error": error.facts()}
        try:
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever asked is gone; nor does Python have to complain of that as it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return


def _answer(
    slot: Slot, request: dict[str, Any], references: dict[str, Reference]
) -> dict[str, Any]:
    scenario = Scenario.from_json(request["scenario"])
    if "case" not in request:
        return slot.prepare(scenario).to_json()
    if scenario.name not in references:
        text = Path(request["reference"]).read_text(encoding="utf-8")
        reference = references[scenario.name] = Reference.from_json(json.loads(text))
        for name in reference.modules:
            # Half of an attempt would be spent on importing, each time anew.
            import_module(name)
    case = Case.parse(request["case"])
    return slot.attempt(scenario, case, references[scenario.name]).to_json()


if __name__ == "__main__":
    serve(Slot(Path(sys.argv[1])))
