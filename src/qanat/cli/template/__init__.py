"""The files of a new project.

They lie beside this module as `<name>.txt`, so that no tool takes them for files of Qanat;
`_` at the start of a name stands for a dot. `{name}` becomes the project's name.
"""

from __future__ import annotations

from importlib.resources import files

FILES = (
    "qanat.yml",
    "transformations/bronze.sql",
    "transformations/silver.sql",
    "transformations/gold.sql",
    "transformations/ranking.py",
    "data/orders/2026-01.csv",
    "data/customers.csv",
    "README.md",
    ".gitignore",
)
"""Paths relative to the project, in the order a newcomer should read them."""


def contents(name: str) -> dict[str, str]:
    """The files of a project of that name, by path."""
    return {path: _read(path).replace("{name}", name) for path in FILES}


def _read(path: str) -> str:
    here = files(__name__)
    *folders, file = path.split("/")
    for folder in folders:
        here = here / folder
    stored = "_" + file[1:] if file.startswith(".") else file
    return (here / f"{stored}.txt").read_text(encoding="utf-8")
