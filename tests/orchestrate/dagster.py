"""The project under Dagster: webserver, daemon and code server."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.orchestrate.environments import variables
from tests.orchestrate.project import FAILED, LEFT_OUT, SKIPPED, SUCCEEDED, Parity
from tests.orchestrate.site import Servers, ask, free_port, until

CODE = """
from dagster import Definitions, RetryPolicy

from qanat.orchestrate.dagster import pipeline_assets

defs = Definitions(
    assets=pipeline_assets(
        {folder!r},
        qanat={qanat!r},
        variables={{"REGION": "Oslo"}},
        retry_policy=RetryPolicy(max_retries=1),
        {more}
    )
)
"""
STATES = {"SUCCESS": SUCCEEDED, "FAILURE": FAILED}
LOCATION = """
{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus
  locationOrLoadError { __typename ... on PythonError { message }
    ... on RepositoryLocation { repositories { name } } } } } } }
"""
LAUNCH = """
mutation ($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }
"""
RUN = """
query ($run: ID!) { runOrError(runId: $run) { ... on Run {
  status stepStats { stepKey status attempts { startTime } } } } }
"""
EVENTS = """
query ($run: ID!) { logsForRun(runId: $run) { ... on EventConnection { events {
  __typename ... on MessageEvent { message stepKey }
  ... on MaterializationEvent { assetKey { path } metadataEntries { label
    ... on IntMetadataEntry { intValue } ... on TextMetadataEntry { text } } }
  ... on AssetCheckEvaluationEvent { evaluation { checkName success severity assetKey { path } } }
  ... on ExecutionStepFailureEvent { error { message } } } } } }
"""


class Dagster:
    """A Dagster with one code location."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.location = until("the code location", 180, self._loaded)

    def ask(self, query: str, **values: Any) -> Any:
        """What the API answers."""
        answer = ask(f"{self._url}/graphql", {"query": query, "variables": values})
        assert "errors" not in answer, answer
        return answer["data"]

    def _loaded(self) -> str | None:
        entries = self.ask(LOCATION)["workspaceOrError"]["locationEntries"]
        if not entries or entries[0]["loadStatus"] != "LOADED":
            return None
        loaded = entries[0]["locationOrLoadError"]
        assert loaded["__typename"] == "RepositoryLocation", loaded
        return str(entries[0]["name"])

    def launch(self, select: Sequence[tuple[str, ...]] = (), config: Any = None) -> str:
        """Queue a run, which the daemon starts."""
        selector: dict[str, Any] = {
            "repositoryLocationName": self.location,
            "repositoryName": "__repository__",
            "jobName": "__ASSET_JOB",
        }
        if select:
            selector["assetSelection"] = [{"path": list(path)} for path in select]
        params = {"selector": selector, "runConfigData": config or {}, "mode": "default"}
        found = self.ask(LAUNCH, params=params)["launchRun"]
        assert found["__typename"] == "LaunchRunSuccess", found
        return str(found["run"]["runId"])

    def ended(self, run: str, seconds: float = 900) -> dict[str, dict[str, Any]]:
        """What became of each step, once the run has ended."""

        def over() -> Any:
            found = self.ask(RUN, run=run)["runOrError"]
            return found if found["status"] in ("SUCCESS", "FAILURE") else None

        return {s["stepKey"]: s for s in until(f"run {run}", seconds, over)["stepStats"]}

    def events(self, run: str) -> list[dict[str, Any]]:
        """What a run has told."""
        found: list[dict[str, Any]] = self.ask(EVENTS, run=run)["logsForRun"]["events"]
        return found


@contextmanager
def dagster(folder: Path, parity: Parity, more: str = "") -> Iterator[Dagster]:
    """A Dagster that works in a folder, until the block ends."""
    home = folder / "dagster"
    home.mkdir(parents=True)
    qanat = [sys.executable, "-m", "qanat"]
    text = CODE.format(folder=str(parity.folder), qanat=qanat, more=more)
    (home / "parity.py").write_text(text, encoding="utf-8")
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    settings = {"DAGSTER_HOME": str(home), "XDG_CACHE_HOME": str(folder / "cache")}
    port = free_port()
    with Servers(home, variables("dagster", **settings)) as servers:
        code = ("-f", "parity.py")
        # Two servers that make the databases at the same time get in each other's way.
        made = servers.start("instance", "dagster", "instance", "migrate")
        assert made.wait(120) == 0, servers.logs()
        servers.start("webserver", "dagster-webserver", "-h", "127.0.0.1", "-p", str(port), *code)
        servers.start("daemon", "dagster-daemon", "run", *code)
        try:
            yield Dagster(f"http://127.0.0.1:{port}")
        except BaseException:
            sys.stderr.write(servers.logs())
            raise


class DagsterRuns:
    """Runs of the project's assets."""

    def __init__(self, dagster: Dagster) -> None:
        self.dagster = dagster
        self.runs: list[str] = []
        self.attempts: list[dict[str, int]] = []

    def run(self, parity: Parity, select: Sequence[str] = ()) -> Mapping[str, str]:
        """Launch a run and wait for its end."""
        del parity
        run = self.dagster.launch([("parity", name) for name in select])
        found = self.dagster.ended(run)
        attempts = {name: len(step["attempts"]) for name, step in found.items()}
        self.runs.append(run)
        self.attempts.append(attempts)
        every = self.dagster.ask("{ assetNodes { opNames } }")["assetNodes"]
        steps = {name for node in every for name in node["opNames"]}
        states = {name: STATES[step["status"]] for name, step in found.items()}
        # Of a step whose inputs have failed, Dagster tells nothing.
        wanted = set(select) or steps
        return {n: states.get(n, SKIPPED if n in wanted else LEFT_OUT) for n in steps}
