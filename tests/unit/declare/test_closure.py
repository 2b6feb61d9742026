"""What a function uses beside its own text is part of its definition."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import qanat

FRAMES = """\
import pyarrow as pa
from qanat import pipelines as dp
from lib import helpers

K = 10


def more(batch):
    return batch.num_rows + K


def with_number(number, *, also=5):
    def function(base: pa.Table, also=None) -> pa.Table:
        values = [number + helpers.X + more(base) for _ in range(base.num_rows)]
        return base.append_column("k", pa.array(values))
    del also
    return function


def made(base: pa.Table) -> pa.Table:
    return with_number(NUMBER)(base)


NUMBER = 1
dp.materialized_view(name="framed")(made)
"""
SQL = "CREATE MATERIALIZED VIEW base AS SELECT 1 AS id;\n"
TOLD = """\
from qanat import pipelines as dp
from lib import helpers


@dp.materialized_view
def told():
    return f"SELECT '{helpers.X}' AS x"
"""


def lay_out(root: Path, python: str, helper: str) -> Path:
    for name, text in (
        ("qanat.yml", "name: closure\n"),
        ("transformations/a.py", python),
        ("transformations/b.sql", SQL),
        ("lib/helpers.py", helper),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("transformations/a.py", "NUMBER = 1", "NUMBER = 2"),
        ("transformations/a.py", "K = 10", "K = 20"),
        ("transformations/a.py", "num_rows + K", "num_rows - K"),
        ("lib/helpers.py", "X = 100", "X = 2_000"),
    ],
)
def test_a_frame_is_made_anew_when_what_it_uses_changes(
    tmp_path: Path, file: str, before: str, after: str
) -> None:
    path = lay_out(tmp_path, FRAMES, "X = 100\n") / file
    with qanat.open(tmp_path) as project:
        project.run()
        first = project.query("SELECT k FROM framed").rows()
        assert {d.status for d in project.run().datasets} == {"unchanged"}
    path.write_text(path.read_text().replace(before, after))
    with qanat.open(tmp_path) as project:
        assert [d.status for d in project.run("framed").datasets] == ["updated"]
        assert project.query("SELECT k FROM framed").rows() != first


def test_a_definition_tells_no_values(tmp_path: Path) -> None:
    """It is stored in the ledger, and a constant may be a secret."""
    python = """\
import os
import pyarrow as pa
from os import environ
from qanat import pipelines as dp

TOKEN = "hush-hush"
EVERYTHING = [TOKEN, {"token": TOKEN}]


@dp.materialized_view
def framed(base: pa.Table) -> pa.Table:
    return base.append_column("k", pa.array([len(TOKEN + str(EVERYTHING) + environ.get("X", ""))]))
"""
    lay_out(tmp_path, python, "")
    with qanat.open(tmp_path) as project:
        (_, text) = project.session.analysis.definitions["framed"]
        assert "TOKEN = str " in text
        assert "EVERYTHING = list " in text
        assert "hush" not in text
        assert "environ =" not in text, "the table would be computed anew with any variable"


def test_helpers_of_helpers_are_seen(tmp_path: Path) -> None:
    """Also in packages without `__init__.py`, whichever of them is removed first."""
    deep = "lib.one.two.three.four.five.six"
    python = FRAMES.replace("from lib import helpers", f"import {deep}.helpers as helpers")
    lay_out(tmp_path, python, "")
    folder = tmp_path / deep.replace(".", "/")
    folder.mkdir(parents=True)
    (folder / "helpers.py").write_text("from lib import more\n\nX = more.X\n")
    # Of different sizes: Python takes a module for unchanged that is as long in the same second.
    for x in (1, 22):
        (tmp_path / "lib" / "more.py").write_text(f"X = {x}\n")
        with qanat.open(tmp_path) as project:
            project.run()
            assert project.query("SELECT k FROM framed").rows() == [(12 + x,)]


def test_packages_without_init_are_each_projects_own(tmp_path: Path) -> None:
    folders = [lay_out(tmp_path / x, TOLD, f"X = '{x}'\n") for x in ("A", "B")]
    for folder in folders:
        with qanat.open(folder) as project:
            project.run()
            assert project.query("FROM told").rows() == [(folder.name,)]
            (folder / "lib" / "helpers.py").write_text("X = 'changed'\n")
            (folder / "transformations" / "b.sql").write_text(SQL + "-- so that files are read\n")
            project.run()
            assert project.query("FROM told").rows() == [("changed",)]


def test_files_of_two_threads_do_not_run_at_once(tmp_path: Path) -> None:
    python = """\
import sys
import time
from qanat import pipelines as dp
from lib import helpers

before = list(sys.path)
helpers.running.append(1)
assert len(helpers.running) == 1
time.sleep(0.05)


@dp.materialized_view
def told():
    return f"SELECT '{helpers.X}' AS x"
"""
    out, paths = sys.stdout, list(sys.path)
    folders = [lay_out(tmp_path / x, python, f"X = '{x}'\nrunning = []\n") for x in ("A", "B")]
    found: dict[str, object] = {}

    def work(folder: Path) -> None:
        with qanat.open(folder) as project:
            project.run()
            found[folder.name] = project.query("FROM told").rows()

    threads = [threading.Thread(target=work, args=(f,)) for f in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {"A": [("A",)], "B": [("B",)]}
    assert sys.stdout is out
    assert sys.path == paths


def test_a_variable_set_after_opening_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = TOLD.replace("from lib import helpers", "import os").replace(
        "helpers.X", "os.environ['X_OF_TEST']"
    )
    monkeypatch.setenv("X_OF_TEST", "before")
    with qanat.open(lay_out(tmp_path, python, "")) as project:
        monkeypatch.setenv("X_OF_TEST", "after")
        project.run()
        assert project.query("FROM told").rows() == [("after",)]


WRAPPED = """\
import functools
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Annotated, NamedTuple

import pyarrow as pa
from qanat import pipelines as dp


class Unit(Enum):
    METRE = 1000


class Base:
    def more(self):
        return 1


@dataclass
class Scale(Base):
    factor: int

    @staticmethod
    def half(value):
        return value // 2

    @functools.cached_property
    def double(self):
        return self.factor * 22

    def __call__(self, value):
        return value * self.factor + self.half(8) + self.double + self.more()


def times(factor):
    def decorate(function):
        @functools.wraps(function)
        def wrapper(base: pa.Table) -> pa.Table:
            table = function(base)
            return table.set_column(1, "k", pa.array([table["k"][0].as_py() * factor + 7]))
        return wrapper
    return decorate


@functools.lru_cache(maxsize=None)
def cached(value):
    return value + 300


def power(value, exponent):
    return value ** exponent


class Slotted:
    __slots__ = ("number",)

    def __init__(self, number):
        self.number = number


class Proxy:
    @property
    def __class__(self):
        raise RuntimeError("there is nothing behind it")


to_the = functools.partial(power, exponent=3)
PROXY = Proxy()
SLOTTED = Slotted(61)
NESTED = [[1, 2], 3]
SHARE = Decimal("0.5")
ONE, OTHER = Scale(1), Scale(2)
CHOSEN = ONE
class Text(str):
    pass


class Pair(NamedTuple):
    left: Annotated[int, frozenset({"k", "l", "m"})]
    right: int = 6

    def total(self):
        return self.left + self.right + 81


TEXT, PAIR, PICK, CASTS = Text("a91"), Pair(1), max, {"v": float}
MISSING = defaultdict(lambda: 101)
HEXED = "PLACE at 0x1"
HUGE = 10 ** 5000
MANY = [Scale(n) for n in range(111)]
LINES = [(
    lambda value: value + 71
)]
HANDLERS = {"first": lambda value: value + 41}
SCALE = Scale(5)


@dp.materialized_view
@times(2)
def framed(base: pa.Table) -> pa.Table:
    value = cached(to_the(2)) + SCALE(1) + HANDLERS["first"](0) + Unit.METRE.value
    TEXT, PAIR, PICK, CASTS, MISSING, HEXED, HUGE, MANY, PROXY, SLOTTED.number, len(NESTED), SHARE
    ONE, OTHER, CHOSEN, LINES
    return base.append_column("k", pa.array([value]))
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("@times(2)", "@times(3)"),
        ("factor + 7", "factor + 8"),
        ("value + 300", "value + 301"),
        ("value ** exponent", "value ** exponent + 1"),
        ("exponent=3", "exponent=4"),
        ("value + 41", "value + 42"),
        ("Scale(5)", "Scale(6)"),
        ("Slotted(61)", "Slotted(62)"),
        ("[[1, 2], 3]", "[1, [2, 3]]"),
        ('Decimal("0.5")', 'Decimal("0.6")'),
        ("CHOSEN = ONE", "CHOSEN = OTHER"),
        ("value + 71", "value + 72"),
        ('Text("a91")', 'Text("a92")'),
        ("PLACE at 0x1", "PLACE at 0x2"),
        ("self.right + 81", "self.right + 82"),
        ('PICK, CASTS = Text("a91"), Pair(1), max', 'PICK, CASTS = Text("a91"), Pair(1), min'),
        ('{"v": float}', '{"v": int}'),
        ("lambda: 101", "lambda: 102"),
        ("range(111)", "range(112)"),
        ("value // 2", "value // 4"),
        ("factor * 22", "factor * 23"),
        ("return 1\n", "return 2\n"),
        ("METRE = 1000", "METRE = 1001"),
        ('k", pa.array([value])', 'k", pa.array([value + 1])'),
    ],
)
def test_what_wrappers_and_classes_hide_is_seen(
    tmp_path: Path, wrapped: str, before: str, after: str
) -> None:
    assert before in WRAPPED
    lay_out(tmp_path, WRAPPED.replace(before, after), "")
    with qanat.open(tmp_path) as project:
        assert project.session.analysis.definitions["framed"][1] != wrapped


@pytest.fixture(scope="module")
def wrapped(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The definition as text, which the folder of the project is no part of."""
    folder = lay_out(tmp_path_factory.mktemp("wrapped"), WRAPPED, "")
    with qanat.open(folder) as project:
        return project.session.analysis.definitions["framed"][1]


def test_a_definition_does_not_depend_on_the_folder(tmp_path: Path, wrapped: str) -> None:
    lay_out(tmp_path, WRAPPED, "")
    with qanat.open(tmp_path) as project:
        assert project.session.analysis.definitions["framed"][1] == wrapped


def test_a_definition_stays_when_only_what_is_around_it_moves(tmp_path: Path) -> None:
    path = lay_out(tmp_path, WRAPPED, "") / "transformations/a.py"
    with qanat.open(tmp_path) as project:
        first = project.session.analysis.definitions["framed"]
        project.run()
    path.write_text("# A comment\nOTHER = 1\n\n\n" + WRAPPED + "\n\ndef unused():\n    pass\n")
    with qanat.open(tmp_path) as project:
        assert project.session.analysis.definitions["framed"] == first
        assert project.run().datasets[-1].status == "unchanged"


def test_values_that_contain_themselves_end(tmp_path: Path) -> None:
    python = FRAMES.replace(
        "NUMBER = 1\n",
        "class Node:\n    def __init__(self, inner):\n        self.inner = inner\n\n"
        "NUMBER = 1\nnode = None\nfor _ in range(5_000):\n    node = Node(node)\n"
        "ring = [node]\nring.append(ring)\n",
    ).replace("with_number(NUMBER)", "(ring, with_number(NUMBER))[1]")
    with qanat.open(lay_out(tmp_path, python, "X = 1\n")) as project:
        assert "ring[0], class = class" in project.session.analysis.definitions["framed"][1]


def test_a_module_that_the_program_has_imported_is_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = lay_out(tmp_path, FRAMES, "X = 100\n") / "lib" / "helpers.py"
    monkeypatch.syspath_prepend(tmp_path)
    imported = importlib.import_module("lib.helpers")
    with qanat.open(tmp_path) as project:
        project.run()
        assert sys.modules["lib.helpers"] is imported
    helper.write_text("X = 2_000\n")
    with qanat.open(tmp_path) as project:
        assert [d.status for d in project.run("framed").datasets] == ["updated"]
        assert project.query("SELECT k FROM framed").rows() == [(2012,)]
    assert (sys.modules["lib.helpers"], imported.X) == (imported, 100)


def test_a_definition_is_the_same_in_every_process(tmp_path: Path) -> None:
    lay_out(tmp_path, WRAPPED, "")
    script = (
        "import qanat, sys\nwith qanat.open(sys.argv[1]) as project:\n"
        "    print(project.session.analysis.definitions['framed'][1])"
    )
    found = set()
    for seed in ("1", "2"):
        environ = os.environ | {"PYTHONHASHSEED": seed, "XDG_CACHE_HOME": str(tmp_path / seed)}
        command = [sys.executable, "-c", script, str(tmp_path)]
        found.add(subprocess.run(command, env=environ, check=True, capture_output=True).stdout)
    (text,) = found
    assert text.count(b"\n# with") < 120
