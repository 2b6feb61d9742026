"""The project under Airflow: API server, scheduler, DAG processor and triggerer."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.orchestrate.environments import variables
from tests.orchestrate.project import FAILED, LEFT_OUT, SKIPPED, SUCCEEDED, Parity
from tests.orchestrate.site import Servers, ask, free_port, until

DAG = """
from datetime import datetime, timedelta

from qanat.orchestrate.airflow import pipeline_dag

dag = pipeline_dag(
    {folder!r},
    schedule=None,
    start_date=datetime(2026, 1, 1),
    qanat={qanat!r},
    variables={{"REGION": "{{{{ params.region }}}}"}},
    params={{"region": "Oslo"}},
    default_args={{"retries": 1, "retry_delay": timedelta(seconds=1)}},
    {more}
)
"""
STATES = {
    "success": SUCCEEDED,
    "failed": FAILED,
    "upstream_failed": SKIPPED,
    "skipped": LEFT_OUT,
}


class Airflow:
    """An Airflow with a folder of DAGs."""

    def __init__(self, folder: Path, servers: Servers, port: int) -> None:
        self.dags = folder / "dags"
        self.servers = servers
        self._url = f"http://127.0.0.1:{port}"
        token = until("a token", 120, lambda: self._token())
        self._headers = [("Authorization", f"Bearer {token}")]

    def _token(self) -> str:
        return str(ask(f"{self._url}/auth/token")["access_token"])

    def ask(self, path: str, document: Any = None, method: str | None = None) -> Any:
        """What the API answers."""
        return ask(f"{self._url}/api/v2/{path}", document, method, self._headers)

    def add(self, name: str, text: str) -> None:
        """A file for the folder of DAGs."""
        (self.dags / f"{name}.py").write_text(text, encoding="utf-8")

    def unpause(self, dag: str) -> None:
        """Let a DAG run, as soon as the DAG processor has seen its file."""

        def known() -> Any:
            found = self.ask("dags?exclude_stale=true")["dags"]
            return next((d for d in found if d["dag_id"] == dag), None)

        until(f"DAG {dag}", 120, known)
        self.ask(f"dags/{dag}", {"is_paused": False}, "PATCH")

    def trigger(self, dag: str, **conf: Any) -> str:
        """Begin a run."""
        run = f"run-{uuid4().hex[:8]}"
        document = {"dag_run_id": run, "logical_date": None, "conf": conf}
        self.ask(f"dags/{dag}/dagRuns", document)
        return run

    def ended(self, dag: str, run: str, seconds: float = 900) -> dict[str, Any]:
        """The task instances of a run, by task, once it has ended."""

        def over() -> bool | None:
            state = self.ask(f"dags/{dag}/dagRuns/{run}")["state"]
            return True if state in ("success", "failed") else None

        until(f"{dag} {run}", seconds, over)
        found = self.ask(f"dags/{dag}/dagRuns/{run}/taskInstances?limit=1000")["task_instances"]
        return {task["task_id"]: task for task in found}

    def xcom(self, dag: str, run: str, task: str) -> Any:
        """What a task has returned."""
        path = f"dags/{dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries/return_value"
        return self.ask(f"{path}?deserialize=true")["value"]

    def log(self, dag: str, run: str, task: str, attempt: int = 1) -> list[str]:
        """The lines of a task's log."""
        content = self.ask(f"dags/{dag}/dagRuns/{run}/taskInstances/{task}/logs/{attempt}")
        return [line["event"] for line in content["content"]]


@contextmanager
def airflow(folder: Path) -> Iterator[Airflow]:
    """An Airflow that works in a folder, until the block ends."""
    port = free_port()
    home = folder / "airflow"
    (home / "dags").mkdir(parents=True)
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API_AUTH__JWT_SECRET": uuid4().hex * 2,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    with Servers(home, variables("airflow", **settings)) as servers:
        migrated = servers.start("migrate", "airflow", "db", "migrate")
        assert migrated.wait(300) == 0, servers.logs()
        servers.start("api", "airflow", "api-server", "--port", str(port), "--host", "127.0.0.1")
        servers.start("processor", "airflow", "dag-processor")
        servers.start("scheduler", "airflow", "scheduler")
        servers.start("triggerer", "airflow", "triggerer")
        yield Airflow(home, servers, port)


class AirflowRuns:
    """Runs of the project's DAG."""

    def __init__(self, airflow: Airflow) -> None:
        self.airflow = airflow
        self.runs: list[str] = []
        self.attempts: list[dict[str, int]] = []

    def add(self, parity: Parity, more: str = "") -> None:
        """The DAG of a project."""
        qanat = [sys.executable, "-m", "qanat"]
        self.airflow.add("parity", DAG.format(folder=str(parity.folder), qanat=qanat, more=more))
        self.airflow.unpause("parity")

    def run(self, parity: Parity, select: Sequence[str] = ()) -> Mapping[str, str]:
        """Trigger a run and wait for its end."""
        del parity
        run = self.airflow.trigger("parity", select=list(select))
        found = self.airflow.ended("parity", run)
        attempts = {name: task["try_number"] for name, task in found.items()}
        self.runs.append(run)
        self.attempts.append(attempts)
        return {name: STATES[task["state"]] for name, task in found.items()}
