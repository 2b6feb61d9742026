"""Which files are written again: rows keep their order, and none is written again too often."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from qanat.model.schema import Schema
from qanat.model.upkeep import MANY, Layout, Policy
from qanat.storage.delta.features import NEW_TABLE
from qanat.storage.delta.layout import Planner
from qanat.storage.delta.state import LiveFile, TableState

TABLE = Path("/t")
MB = 1024 * 1024


def state(files: list[LiveFile]) -> TableState:
    ordered = tuple(sorted(files, key=lambda f: (f.made_ms, f.path)))
    columns = Schema(())
    return TableState(
        0, "id", None, None, {}, columns, (), None, {}, NEW_TABLE, ordered, {}, False
    )


def planned(files: list[LiveFile], thorough: bool = True, **policy: int) -> Layout:
    policy_ = Policy(**policy)
    return Planner(TABLE, lambda _: None, policy_, (), False, thorough).layout(state(files))


def carried_out(files: list[LiveFile], layout: Layout, name: str) -> list[LiveFile]:
    """The table after its files were written again."""
    gone = {path for b in layout.bins for path in b.files}
    new = [
        LiveFile(f"{name}-{n:03}", b.bytes, 1, made_ms=b.since_ms)
        for n, b in enumerate(layout.bins)
    ]
    return [f for f in files if f"/t/{f.path}" not in gone] + new


@pytest.mark.parametrize("seed", range(40))
def test_rows_keep_their_order(seed: int) -> None:
    """Also where many files have one moment, and where new names come before or after old ones."""
    draw = Random(seed)  # noqa: S311
    files = [
        LiveFile(f"{draw.randrange(10**6):06}", draw.choice((10, 40, 80)), 1, made_ms=moment)
        for moment in (draw.randrange(12) for _ in range(30))
    ]
    rows = {f"/t/{f.path}": [f.path] for f in files}
    wanted = [f.path for f in state(files).files]
    for turn in range(3):
        layout = planned(files, thorough=turn > 0, target=100)
        name = draw.choice(("000", "zzz")) + str(turn)
        for number, each in enumerate(layout.bins):
            assert len(each.files) > 1
            rows[f"/t/{name}-{number:03}"] = [r for path in each.files for r in rows[path]]
        files = carried_out(files, layout, name)
        found = [r for f in state(files).files for r in rows[f"/t/{f.path}"]]
        assert found == wanted
    assert not planned(files, thorough=True, target=100).bins or len(files) < 30


def test_what_is_large_is_left_alone() -> None:
    sizes = (70 * MB, 10, 10, 200 * MB, 10, 10)
    files = [LiveFile(str(n), size, 1, made_ms=n) for n, size in enumerate(sizes)]
    layout = planned(files)
    assert [b.files for b in layout.bins] == [("/t/1", "/t/2"), ("/t/4", "/t/5")]


def test_after_updates_each_row_is_written_again_a_few_times() -> None:
    """As often as the table has doubled, and not with each compaction."""
    files: list[LiveFile] = []
    written, most = 0, 0
    for commit in range(6000):
        files.append(LiveFile(f"a{commit:06}", 100_000, 1, made_ms=commit))
        most = max(most, len(files))
        layout = planned(files, thorough=False)
        if layout.gone - layout.new >= MANY - 1:
            written += sum(b.bytes for b in layout.bins)
            files = carried_out(files, layout, f"b{commit:06}")
    assert written / (6000 * 100_000) < 8
    assert most < 2 * MANY
    assert sum(f.size for f in files) == 6000 * 100_000
