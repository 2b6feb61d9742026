"""What every file of the code keeps to, apart from the layers."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from qanat import errors
from qanat.cli.program import COMMANDS
from tests.parsed import parsed

ROOT = Path(__file__).parents[2] / "src" / "qanat"
FILES = sorted(ROOT.rglob("*.py"))

VAGUE = frozenset({"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"})
ANY = frozenset({"BaseException", "Exception"})
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def shown(path: Path, node: ast.AST | None = None) -> str:
    line = f":{node.lineno}" if isinstance(node, ast.stmt | ast.ExceptHandler) else ""
    return f"{path.relative_to(ROOT.parent)}{line}"


def public(body: list[ast.stmt]) -> Iterator[Definition]:
    """The functions and classes, and their methods, that others may use."""
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_") and not overload(node):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body)


def overload(node: Definition) -> bool:
    return any(isinstance(d, ast.Name) and d.id == "overload" for d in node.decorator_list)


def undocumented(path: Path) -> list[str]:
    tree = parsed(path)
    missing = [shown(path)] if not ast.get_docstring(tree) else []
    return missing + [
        f"{shown(path, n)} {n.name}" for n in public(tree.body) if not ast.get_docstring(n)
    ]


def swallowing(tree: ast.Module) -> Iterator[ast.ExceptHandler]:
    """Handlers that catch every error and may end without raising."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and not isinstance(node.body[-1], ast.Raise):
            types = ast.walk(node.type) if node.type else [ast.Name("BaseException")]
            if any(isinstance(t, ast.Name) and t.id in ANY for t in types):
                yield node


def late_imports(tree: ast.Module) -> Iterator[ast.stmt]:
    """Imports inside functions."""
    for function in ast.walk(tree):
        if isinstance(function, FUNCTION):
            inside = ast.walk(function)
            yield from (n for n in inside if isinstance(n, ast.Import | ast.ImportFrom))


def folding(tree: ast.Module) -> Iterator[ast.Attribute]:
    """Where names are compared by hand, or by a function of `str` that is handed on."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "casefold":
            yield node


def promised(tree: ast.Module) -> Iterator[str]:
    """The names of errors that docstrings mention."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            yield from re.findall(r"\b[A-Z]\w+Error\b", ast.get_docstring(node) or "")


def test_everything_public_is_documented() -> None:
    missing = [m for path in FILES for m in undocumented(path)]
    assert not missing, "\n".join(missing)


def test_modules_have_names_that_say_something() -> None:
    vague = [shown(p) for p in FILES if {p.stem, *p.relative_to(ROOT).parts[:-1]} & VAGUE]
    assert not vague, vague


def test_only_the_runner_goes_on_after_any_error() -> None:
    """In one place for datasets, and in one for observers: neither concerns all the others."""
    broad = [shown(p, n).partition(":")[0] for p in FILES for n in swallowing(parsed(p))]
    assert sorted(broad) == ["qanat/run/diary.py", "qanat/run/update.py"]


def test_imports_stand_at_the_top() -> None:
    """What is imported late goes by name through `import_module`, and says why."""
    late = [shown(p, n) for p in FILES for n in late_imports(parsed(p))]
    assert not late, late


def test_only_one_module_decides_which_names_are_the_same() -> None:
    """Anything else that folds a name will one day look it up unfolded."""
    folds = {shown(p) for p in FILES for _ in folding(parsed(p))}
    assert folds == {"qanat/model/name.py"}


def test_errors_that_are_promised_exist() -> None:
    known = {*dir(errors), *dir(builtins)}
    unknown = {
        f"{shown(p)}: {name}" for p in FILES for name in promised(parsed(p)) if name not in known
    }
    assert not unknown, sorted(unknown)


@pytest.mark.parametrize("package", sorted({p.parent for p in FILES} - {ROOT}), ids=shown)
def test_a_package_introduces_its_modules(package: Path) -> None:
    """Its docstring says in which order to read them; commands introduce themselves."""
    text = ast.get_docstring(parsed(package / "__init__.py")) or ""
    named = set(re.findall(r"`(\w+)`", text))
    modules = {p.stem for p in package.glob("*.py")} - {"__init__"}
    modules |= {p.parent.name for p in package.glob("*/__init__.py")}
    if package == ROOT / "cli":
        modules -= COMMANDS.keys()
    assert modules <= named, f"not introduced: {sorted(modules - named)}"


def test_the_tests_can_fail(tmp_path: Path) -> None:
    tree = ast.parse(
        "def f():\n"
        '    """Raises NoSuchError."""\n'
        "    import os\n"
        "    try: os.remove('x')\n"
        "    except Exception: pass\n"
        "    map(str.casefold, 'X'.casefold())\n"
    )
    assert [n.lineno for n in late_imports(tree)] == [3]
    assert [n.lineno for n in swallowing(tree)] == [5]
    assert [n.lineno for n in folding(tree)] == [6, 6]
    assert list(promised(tree)) == ["NoSuchError"]
    assert [n.name for n in public(tree.body)] == ["f"]
