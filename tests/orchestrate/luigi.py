"""The project under Luigi: its central scheduler, and a worker for each run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.orchestrate.environments import programs, variables
from tests.orchestrate.project import DATASETS, FAILED, LEFT_OUT, SKIPPED, SUCCEEDED, Parity
from tests.orchestrate.site import Servers, ask, free_port, until

WORKER = """
import json, sys
import luigi
from qanat.orchestrate.luigi import pipeline_tasks

url, workers, arguments = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
found = pipeline_tasks(**arguments)
luigi.build(found, scheduler_url=url, workers=workers, no_lock=True, log_level="INFO")
"""
# A task may fail twice, as with one retry elsewhere.
SETTINGS = """
[scheduler]
retry_delay = 1
retry_count = 2
[worker]
keep_alive = true
wait_interval = 0.3
wait_jitter = 0
force_multiprocessing = true
"""
STATES = {"DONE": SUCCEEDED, "FAILED": FAILED, "DISABLED": FAILED, "PENDING": SKIPPED}


class Luigi:
    """A central scheduler."""

    def __init__(self, folder: Path, servers: Servers, port: int) -> None:
        self.folder, self.servers = folder, servers
        self.url = f"http://127.0.0.1:{port}"
        self.log = ""
        until("the scheduler", 60, self.tasks)

    def tasks(self) -> dict[str, dict[str, Any]]:
        """What the scheduler knows of all tasks, by their identity."""
        question = quote(json.dumps({"status": "", "upstream_status": ""}))
        found: dict[str, dict[str, Any]] = ask(f"{self.url}/api/task_list?data={question}")
        return found["response"]

    def build(self, workers: int = 4, seconds: float = 900, **arguments: Any) -> None:
        """One worker, until it has nothing more to do."""
        python = str(programs("luigi") / "python")
        command = [python, "-c", WORKER, self.url, str(workers), json.dumps(arguments)]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=dict(self.servers.environ),
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        self.log = done.stderr
        assert done.returncode == 0, done.stderr


@contextmanager
def luigi(folder: Path) -> Iterator[Luigi]:
    """A Luigi that works in a folder, until the block ends."""
    home = folder / "luigi"
    home.mkdir(parents=True)
    (home / "luigi.cfg").write_text(SETTINGS, encoding="utf-8")
    settings = {"XDG_CACHE_HOME": str(folder / "cache"), "LUIGI_CONFIG_PATH": "luigi.cfg"}
    port = free_port()
    with Servers(home, variables("luigi", **settings)) as servers:
        address = ("--address", "127.0.0.1", "--port", str(port))
        servers.start("luigid", "luigid", *address, "--state-path", str(home / "state"))
        yield Luigi(home, servers, port)


class LuigiRuns:
    """Runs of the project's tasks."""

    def __init__(self, luigi: Luigi) -> None:
        self.luigi = luigi

    def run(self, parity: Parity, select: Sequence[str] = ()) -> Mapping[str, str]:
        """One worker until it ends: what became of the tasks that it has added."""
        before = set(self.luigi.tasks())
        # Two runs within a second would have the same tasks.
        time.sleep(1.1)
        self.luigi.build(
            path=str(parity.folder),
            qanat=[sys.executable, "-m", "qanat"],
            variables={"REGION": "Oslo"},
            select=list(select),
        )
        found = {
            task["params"]["name"]: STATES[task["status"]]
            for name, task in self.luigi.tasks().items()
            if name not in before
        }
        return {name: found.get(name, LEFT_OUT) for name in DATASETS}
