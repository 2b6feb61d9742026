"""Runs a Python file of the project without leaving its modules or paths in the interpreter."""

from __future__ import annotations

import contextlib
import inspect
import linecache
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from qanat.declare import python, python_cdc
from qanat.declare.capture import Capture, active
from qanat.declare.spark.session import Session
from qanat.declare.spark.standin import importable
from qanat.errors import (
    DeclarationError,
    Location,
    MissingExtraError,
    PythonFileError,
    install,
    nearest,
)

_INSTALL = "install it into the environment that qanat runs in"
_OTHERS: dict[Path, set[str]] = {}
"""By project folder, modules that are not the project's: there may be thousands to look at."""
_ALONE = threading.RLock()
"""Held while a file runs: paths, modules and standard output belong to the whole process."""
_FORMER = {
    "view": "temporary_view",
    "create_table": "table",
    "create_streaming_live_table": "create_streaming_table",
}
"""Names in the `dlt` module of Databricks, and what `pyspark.pipelines` calls the same."""
_DBT = {"unique_key": "keys", "partition_by": "partition_cols"}
"""Settings of dbt's models, and the arguments that say the same."""
_SPARK = (
    "the same decorators are here: from qanat import pipelines as dp; and so is `spark`. Columns"
    f" of pyspark.sql.functions need {install('sqlframe')}"
)
_PARTS = "what there is of pyspark: pipelines, and functions, types and Window of pyspark.sql"


def run_file(path: Path, text: str, capture: Capture) -> None:
    """Run a file; its decorators store their calls in `capture`.

    Args:
        path: the file.
        text: its content.
        capture: gains the calls.

    Raises:
        PythonFileError: the file has a syntax error, or its code raised an error.
    """
    name = f"_qanat_file_{path.stem}"
    module = ModuleType(name)
    module.__file__ = str(path)
    module.__dict__["spark"] = Session()
    linecache.checkcache(str(path))
    with blamed(capture, path):
        code = compile(text, str(path), "exec", dont_inherit=True)
        token = active.set(capture)
        sys.modules[name] = module  # dataclasses and pickling look their module up
        try:
            exec(code, module.__dict__)  # noqa: S102 - running the user's file is the point
        finally:
            active.reset(token)


@contextlib.contextmanager
def isolated(root: Path, path: Path) -> Iterator[Callable[[], list[Path]]]:
    """Make the file's folder and the project importable inside the block.

    Afterwards the project's modules are removed from `sys.modules`: two files, or two projects in
    one process, may have different modules of one name. Those that the program has imported itself
    are put aside meanwhile, or a file would get them as they once were. Modules of installed
    packages stay. What the file prints goes to standard error, because standard output has the
    command's result. Files of other threads wait.

    Yields:
        What tells the files of the project's modules that were imported inside the block.
    """
    with _ALONE, _importing(root, path) as imported:
        yield imported


@contextlib.contextmanager
def _importing(root: Path, path: Path) -> Iterator[Callable[[], list[Path]]]:
    before, aside = list(sys.path), {name: sys.modules[name] for name in _theirs(root)}
    for name in aside:
        del sys.modules[name]

    sys.path[:0] = [str(p) for p in dict.fromkeys((path.parent, root))]
    try:
        with contextlib.redirect_stdout(sys.stderr), importable():
            yield lambda: sorted({p for ps in _theirs(root).values() for p in ps if p.is_file()})
    finally:
        sys.path[:] = before
        # All are found before the first goes: a package without `__init__.py` asks its parent
        # where it is.
        for name in _theirs(root):
            del sys.modules[name]
        sys.modules.update(aside)


def _theirs(root: Path) -> dict[str, list[Path]]:
    """The files of the project's modules, by their names."""
    others = _OTHERS.setdefault(root, set())
    others.intersection_update(sys.modules)
    below, found = str(root), {}
    for name in sys.modules.keys() - others:
        # To make a path of every module's file takes longer than to run most files.
        places = [Path(p) for p in _places(sys.modules[name]) if p.startswith(below)]
        # Qanat itself may be developed below the project's folder, and so may what runs it.
        ours = name.partition(".")[0] in ("qanat", "__main__")
        if not ours and any(is_users(place, root) for place in places):
            found[name] = places
        else:
            others.add(name)
    return found


def _places(module: ModuleType) -> Iterator[str]:
    """A module's file, and a package's folders: one without `__init__.py` has no file."""
    # Not by `getattr`: a module may import others when it is asked for a name that it has not.
    names = getattr(module, "__dict__", {})
    found = [names.get("__file__"), *(names.get("__path__") or ())]
    return (str(place) for place in found if place)


@contextlib.contextmanager
def blamed(capture: Capture, path: Path) -> Iterator[None]:
    """Turn every error of the user's code into a `PythonFileError` at the user's own line."""
    try:
        yield
    except SyntaxError as error:
        same = error.filename == str(path)
        where = capture.place(error.filename or str(path), error.lineno, error.offset or None)
        raise PythonFileError(
            f"the file is not Python: {error.msg}" if same else f"{error.msg}", location=where
        ) from error
    except ModuleNotFoundError as error:
        raise PythonFileError(
            f"no module {error.name!r}",
            location=_line(error, capture, path),
            hint=_way_out(str(error.name)),
        ) from error
    except KeyboardInterrupt:
        raise
    except (DeclarationError, MissingExtraError) as error:
        # What `spark` says of its use knows no place.
        error.location = error.location or _line(error, capture, path)
        raise
    except BaseException as error:
        text = " ".join(str(error).split())
        raise PythonFileError(
            f"{type(error).__name__}: {text}" if text else type(error).__name__,
            location=_line(error, capture, path),
            nearest=_meant(error),
        ) from error


def _way_out(package: str) -> str:
    if package.partition(".")[0] in ("pyspark", "dlt"):
        return _PARTS if find_spec("sqlframe") and package != "dlt" else _SPARK
    return install(package) or _INSTALL


def _meant(error: BaseException) -> str | None:
    """The nearest existing name, if the error is about an unknown attribute or argument."""
    if isinstance(error, AttributeError) and error.name is not None:
        if hasattr(error.obj, former := _FORMER.get(error.name, "")):
            return former
        return nearest(error.name, (n for n in dir(error.obj) if not n.startswith("_")))
    wrong = re.search(r"(\w+)\(\) got an unexpected keyword argument '(\w+)'", str(error))
    if wrong is None:
        return None
    function = getattr(python, wrong[1], None) or getattr(python_cdc, wrong[1], None)
    if function is None:
        return None
    known = inspect.signature(function).parameters
    ours = _DBT.get(wrong[2])
    return ours if ours in known else nearest(wrong[2], known)


def _line(error: BaseException, capture: Capture, path: Path) -> Location:
    frames = traceback.extract_tb(error.__traceback__)
    mine = [f for f in frames if is_users(Path(f.filename), capture.root)]
    frame = mine[-1] if mine else None
    return capture.place(frame.filename, frame.lineno) if frame else capture.place(str(path), None)


def is_users(file: Path, root: Path) -> bool:
    """True if a file is the project's own, and not of a package installed in its folder."""
    return file.is_relative_to(root) and "site-packages" not in file.parts
