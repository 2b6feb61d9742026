"""The project under Prefect: its server, and a process that serves the flow."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.orchestrate.environments import variables
from tests.orchestrate.project import DATASETS, FAILED, LEFT_OUT, SKIPPED, SUCCEEDED, Parity
from tests.orchestrate.site import Servers, ask, free_port, until

CODE = """
from qanat.orchestrate.prefect import pipeline_flow

parity = pipeline_flow(
    {folder!r},
    qanat={qanat!r},
    variables={{"REGION": "Oslo"}},
    task_arguments={{"retries": 1, "retry_delay_seconds": 1}},
    {more}
)
"""
STATES = {"COMPLETED": SUCCEEDED, "FAILED": FAILED, "PENDING": SKIPPED, "CRASHED": FAILED}


class Prefect:
    """A Prefect that serves the project's flow."""

    def __init__(self, url: str) -> None:
        self.url = url

    def deployment(self) -> str:
        """The identity of what `prefect flow serve` has registered."""

        def found() -> str | None:
            known = self.ask("deployments/filter", {})
            return str(known[0]["id"]) if known else None

        return until("the deployment", 120, found)

    def ask(self, path: str, document: Any = None) -> Any:
        """What the API answers."""
        return ask(f"{self.url}/{path}", document)

    def trigger(self, **parameters: Any) -> str:
        """Schedule a run for now."""
        path = f"deployments/{self.deployment()}/create_flow_run"
        found = self.ask(path, {"parameters": parameters, "state": {"type": "SCHEDULED"}})
        return str(found["id"])

    def ended(self, run: str, seconds: float = 900) -> dict[str, dict[str, Any]]:
        """The task runs of a flow run by name, once it has ended."""

        def over() -> bool | None:
            kind = self.ask(f"flow_runs/{run}")["state"]["type"]
            return True if kind in ("COMPLETED", "FAILED", "CRASHED") else None

        until(f"run {run}", seconds, over)
        found = self.ask("task_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
        return {task["name"].rpartition("-")[0]: task for task in found}


@contextmanager
def prefect(folder: Path, parity: Parity, more: str = "") -> Iterator[Prefect]:
    """A Prefect that works in a folder, until the block ends."""
    home = folder / "prefect"
    home.mkdir(parents=True)
    qanat = [sys.executable, "-m", "qanat"]
    text = CODE.format(folder=str(parity.folder), qanat=qanat, more=more)
    (home / "parity.py").write_text(text, encoding="utf-8")
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    settings = {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    with Servers(home, variables("prefect", **settings)) as servers:
        servers.start("server", "prefect", "server", "start", "--port", str(port), "--no-ui")
        site = Prefect(url)
        try:
            until("the server", 120, lambda: site.ask("health"))
            flow = ("flow", "serve", "parity.py:parity", "--name", "parity")
            servers.start("serve", "prefect", *flow)
            site.deployment()
            yield site
        except BaseException:
            sys.stderr.write(servers.logs())
            raise


class PrefectRuns:
    """Runs of the project's flow."""

    def __init__(self, prefect: Prefect) -> None:
        self.prefect = prefect
        self.runs: list[str] = []
        self.attempts: list[dict[str, int]] = []

    def run(self, parity: Parity, select: Sequence[str] = ()) -> Mapping[str, str]:
        """Trigger a run and wait for its end."""
        del parity
        run = self.prefect.trigger(select=list(select))
        found = self.prefect.ended(run)
        attempts = {name: task["run_count"] for name, task in found.items()}
        self.runs.append(run)
        self.attempts.append(attempts)
        states = {name: STATES[task["state_type"]] for name, task in found.items()}
        return {name: states.get(name, LEFT_OUT) for name in DATASETS}
