"""How many of Qanat's modules one row enters on its way from a file through two tables.

    python benchmarks/row_modules.py           the count
    python benchmarks/row_modules.py --list    … and the modules, in the order of first entry

A project of one CSV file with one row, a streaming table with a rule that reads it and a streaming
table that reads that one is updated by `qanat run`; a module counts when one of its functions is
called. What only imports it does not count: the bodies of modules and classes, and what they call.
"""

from __future__ import annotations

import argparse
import atexit
import inspect
import sys
import threading
from importlib import import_module
from pathlib import Path
from types import FrameType

from figure import Against, Figure
from measure import spend
from place import PYTHON, SOURCE, no_cache, scratch

SQL = """\
CREATE OR REFRESH STREAMING TABLE first (
  CONSTRAINT has_id EXPECT (id IS NOT NULL) ON VIOLATION DROP ROW
) AS SELECT * FROM STREAM read_files('data/*.csv', format => 'csv', header => true);
CREATE OR REFRESH STREAMING TABLE second AS SELECT id, amount * 2 AS doubled FROM STREAM first;
"""


def measure() -> list[Figure]:
    """The modules entered, beside all that there are."""
    everything = len(list((SOURCE / "src" / "qanat").rglob("*.py")))
    return [
        Figure(
            "row_modules: file to second table",
            len(entered()),
            "modules of Qanat",
            everything,
            "modules",
            Against.VALUE,
            66,
        )
    ]


def lay_out(folder: Path) -> None:
    """The project of two tables and one row."""
    for name, text in (
        ("qanat.yml", "name: row\nstorage: storage\n"),
        ("transformations/tables.sql", SQL),
        ("data/one.csv", "id,amount\n1,20\n"),
    ):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


def entered() -> list[str]:
    """The modules that an update of the project enters, in the order of first entry."""
    with scratch("row-modules") as folder:
        lay_out(folder)
        modules = folder / "modules.txt"
        spend([PYTHON, __file__, "--trace", modules], folder, env=no_cache(folder))
        return modules.read_text(encoding="utf-8").split()


def imports(frame: FrameType | None) -> bool:
    """True if a module that is being imported made this call, however indirectly."""
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals["__name__"] != "__main__":
            return True
        frame = frame.f_back
    return False


def trace(modules: Path) -> None:
    """Update the project in this folder, and write the modules entered to a file."""
    seen: dict[str, None] = {}

    def note(frame: FrameType, event: str, _: object) -> None:
        # Bodies of modules and classes run at import; only functions have optimized locals.
        if event == "call" and frame.f_code.co_flags & inspect.CO_OPTIMIZED:
            name = str(frame.f_globals.get("__name__", ""))
            if name.partition(".")[0] == "qanat" and name not in seen and not imports(frame):
                seen[name] = None

    # `qanat` ends its process as soon as it is done, but lets exit functions run before.
    atexit.register(lambda: modules.write_text("\n".join(seen), encoding="utf-8"))
    program = import_module("qanat.cli").main
    sys.argv = ["qanat", "run"]
    threading.setprofile(note)
    sys.setprofile(note)
    program()


def main() -> int:
    """Print how many modules an update enters."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--list", action="store_true", help="print the modules, too")
    parser.add_argument("--trace", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.trace:
        trace(asked.trace)
    names = entered()
    print(f"{len(names)} modules")
    if asked.list:
        print("\n".join(names))
    return 0


if __name__ == "__main__":
    sys.exit(main())
