"""The worker processes: started with the injector preloaded, given cases as they become free."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from qanat.crash.case import Case, Scenario, Verdict
from qanat.crash.injector import build, preloaded
from qanat.crash.reference import Reference
from qanat.errors import AdapterError


class Crew:
    """Worker processes that try cases in parallel. Use it as a context manager.

    Args:
        folder: an absolute path; each worker gets a slot in it. A file system in memory is best,
            since every case writes a project and syncs it.
        size: the number of workers.
        worker: the module that a worker runs.

    Raises:
        UnsupportedError: this is no Linux, or the folder's path cannot be preloaded from.
        MissingExtraError: there is no C compiler.
        AdapterError: the injector cannot be compiled.
    """

    def __init__(self, folder: Path, size: int, worker: str = "qanat.crash.worker") -> None:
        self._folder = folder
        self._worker = worker
        library = build(folder / "injector")
        self._references = folder / "references"
        self._references.mkdir(parents=True, exist_ok=True)
        self._environment = os.environ | {"LD_PRELOAD": preloaded(library, os.environ)}
        self._size = size
        self._workers: list[subprocess.Popen[str]] = []
        self._ends = ExitStack()

    def prepare(self, scenario: Scenario) -> Reference:
        """Run a scenario without a fault; the result is what cases are compared with.

        Raises:
            AdapterError: the scenario fails without a fault.
        """
        answer = _ask(self._workers[0], {"scenario": scenario.to_json()})
        self._reference(scenario).write_text(json.dumps(answer), encoding="utf-8")
        return Reference.from_json(answer)

    def attempt(
        self, cases: Iterable[tuple[Scenario, Case]], tell: Callable[[Verdict], None]
    ) -> None:
        """Try cases in parallel.

        Args:
            cases: the cases to try, each with its scenario.
            tell: called with each verdict as it comes, by one thread at a time.

        Raises:
            AdapterError: a worker ended.
        """
        waiting = iter(cases)
        lock = threading.Lock()
        errors: list[AdapterError] = []
        threads = [
            threading.Thread(
                target=self._serve, args=(w, waiting, lock, tell, errors), daemon=True
            )
            for w in self._workers
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]

    def _serve(
        self,
        worker: subprocess.Popen[str],
        waiting: Iterator[tuple[Scenario, Case]],
        lock: threading.Lock,
        tell: Callable[[Verdict], None],
        errors: list[AdapterError],
    ) -> None:
        while not errors:
            with lock:
                item = next(waiting, None)
            if item is None:
                return
            scenario, case = item
            request = {
                "scenario": scenario.to_json(),
                "reference": str(self._reference(scenario)),
                "case": str(case),
            }
            try:
                verdict = Verdict.from_json(_ask(worker, request))
            except AdapterError as error:
                errors.append(error)
                return
            with lock:
                tell(verdict)

    def _reference(self, scenario: Scenario) -> Path:
        return self._references / f"{scenario.name}.json"

    @contextmanager
    def _working(self, slot: Path) -> Iterator[subprocess.Popen[str]]:
        with subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-m", self._worker, str(slot)],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # A Ctrl-C at the terminal is for the driver alone, which then ends the workers.
            start_new_session=True,
        ) as worker:
            try:
                yield worker
            finally:
                worker.kill()

    def __enter__(self) -> Self:
        # Start the workers in this thread: a worker is killed when the thread that started it
        # ends, and this one lives as long as the crew.
        with ExitStack() as ends:
            for n in range(self._size):
                slot = self._folder / f"slot-{n}"
                self._workers.append(ends.enter_context(self._working(slot)))
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._ends.close()


def _ask(worker: subprocess.Popen[str], request: dict[str, Any]) -> dict[str, Any]:
    if worker.stdin is None or worker.stdout is None:
        raise AdapterError("a worker of the crash test has no pipes")
    try:
        worker.stdin.write(json.dumps(request) + "\n")
        worker.stdin.flush()
    except BrokenPipeError as error:
        raise AdapterError("a worker of the crash test ended") from error
    line = worker.stdout.readline()
    if not line:
        raise AdapterError("a worker of the crash test ended", got=str(request.get("case")))
    answer: dict[str, Any] = json.loads(line)
    if found := answer.get("error"):
        raise AdapterError(found["message"], got=found["got"], hint=found["hint"])
    return answer
