"""A worker process that tries cases: `python -m qanat.crash.worker FOLDER`.

It runs with the injector preloaded. It reads requests from standard input, one JSON object on each
line, and answers each with one. It imports what an update needs before the first case, so that an
attempt is only a fork.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from contextlib import redirect_stdout
from dataclasses import is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from qanat.crash.case import Case, Scenario
from qanat.crash.ending import die_with
from qanat.crash.injector import Injector
from qanat.crash.reference import Reference
from qanat.crash.slot import Slot
from qanat.errors import QanatError
from qanat.frozen import Frozen


def serve(slot: Slot) -> None:
    """Answer requests until standard input ends."""
    # No parent's id is needed: if the parent has already ended, so has standard input.
    die_with()
    Injector()  # fail at once if it is not preloaded: no fault would ever happen
    references: dict[str, Reference] = {}
    for line in sys.stdin:
        try:
            # Standard output has the answers: the project's functions must not print there.
            with redirect_stdout(sys.stderr):
                answer = _answer(slot, json.loads(line), references)
        except QanatError as error:
            answer = {"error": error.facts()}
        try:
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            # The parent is gone. Point standard output elsewhere, or Python prints an error
            # about the broken pipe when it exits.
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
        slot.modules.update(reference.modules)
    # Imports take half of an attempt: do them here once, and forks inherit them. A fault leads
    # elsewhere than the scenario without one, so this goes on as long as there is something new.
    if new := slot.modules.difference(sys.modules):
        for name in sorted(new):
            import_module(name)
        _compile(Frozen)
        # Collecting garbage in a fork would touch, and so copy, every page of what it inherits.
        gc.collect()
        gc.freeze()
    case = Case.parse(request["case"])
    return slot.attempt(scenario, case, references[scenario.name]).to_json()


def _compile(kind: type[Frozen]) -> None:
    """Compile what each fork would else compile for itself."""
    for each in kind.__subclasses__():
        is_dataclass(each)
        _compile(each)


if __name__ == "__main__":
    serve(Slot(Path(sys.argv[1])))
