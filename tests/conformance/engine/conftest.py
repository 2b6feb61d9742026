"""Every engine, one after the other, held to what it declares."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qanat import plugins
from qanat.ports.engine import Engine
from tests.conformance.datafusion_engine.engine import DataFusionEngine
from tests.conformance.engine.bench import Bench
from tests.conformance.engine.capabilities import ALL, Words

DUCKDB = plugins.imported(plugins.engine("duckdb").engine)
ENGINES: dict[str, tuple[Callable[..., Engine], frozenset[str]]] = {
    "duckdb": (DUCKDB, ALL),
    "datafusion": (DataFusionEngine, DataFusionEngine.capabilities),
}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*capabilities): of an engine; else not run with it")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "bench" in metafunc.fixturenames:
        metafunc.parametrize("bench", ENGINES, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take out what an engine does not declare; pytest tells how many it took out."""
    beyond = [i for i in items if isinstance(i, pytest.Function) and not _declared(i)]
    if beyond:
        config.hook.pytest_deselected(items=beyond)
        items[:] = [i for i in items if i not in set(beyond)]


def _declared(item: pytest.Function) -> bool:
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    if "bench" not in parameters:
        return True
    engine, capabilities = ENGINES[str(parameters["bench"])]
    spoken = all(engine.dialect in p for p in parameters.values() if isinstance(p, Words))
    return spoken and all(capabilities.issuperset(m.args) for m in item.iter_markers("needs"))


@pytest.fixture
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    engine = ENGINES[request.param][0](tmp_path / "scratch", 500 * 2**20, 2)
    yield Bench(engine, tmp_path)
    engine.close()
    assert not (tmp_path / "scratch").exists()
