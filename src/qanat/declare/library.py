"""Loads the pipeline that the files of a project declare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from qanat.declare.captured import Captured, run_python
from qanat.declare.check.breaking import broken_keys, kept_promises
from qanat.declare.check.contracts import Contracts, load_contracts
from qanat.declare.check.files import load_checks
from qanat.declare.check.selected import doubled, with_checks
from qanat.declare.enveloped import with_envelopes
from qanat.declare.files import DEFAULT_LIBRARIES, library_files, match, quality_files
from qanat.declare.functions import declare_python
from qanat.declare.registry import Registry
from qanat.declare.statements import declare_sql
from qanat.declare.strategies import with_strategies
from qanat.errors import Location, QanatError, SpecError, SqlSyntaxError
from qanat.frozen import Frozen
from qanat.model.adapter import Connectors
from qanat.model.name import fold, same
from qanat.model.pipeline import Pipeline, ProjectSpec


class Declared(Frozen):
    """The result of loading a project's files.

    Args:
        pipeline: the datasets and flows that could be parsed.
        problems: everything that is wrong, in the order of files and lines.
        unread: as `Registry` has it.
    """

    pipeline: Pipeline
    problems: tuple[QanatError, ...]
    unread: tuple[str | None, ...] = ()

    def may_declare(self, name: str) -> bool:
        """True if a dataset that is not in the pipeline may be one that could not be read."""
        return any(text is None or fold(name) in fold(text) for text in self.unread)


def load_pipeline(
    project: ProjectSpec,
    connectors: Connectors,
    formats: Sequence[str] = (),
    ran: Mapping[Path, Captured] | None = None,
) -> Declared:
    """Load all transformation files of a project.

    Args:
        connectors: what its queries may read from, and its sinks write to.
        formats: the names of all table formats.
        ran: Python files that have been run already; others are run now.

    Errors in the files are not raised: they are in `Declared.problems`.
    """
    registry = Registry(project, connectors, formats)
    registry.problems.extend(_check_globs(project))
    for path in library_files(project):
        shown = path.relative_to(project.root).as_posix()
        with registry.problems.collecting():
            captured = (ran or {}).get(path)
            if captured is None:
                with registry.nameless(None):
                    text = _read(path, shown)
                if path.suffix != ".py":
                    declare_sql(text, shown, registry)
                    continue
                captured = run_python(path, text, project.root)
            declare_python(path, captured, registry)
    contracts = _give_checks(registry)
    told = with_envelopes(registry.flows)
    flows = with_strategies(registry.datasets, told, registry.problems)
    pipeline = Pipeline(
        project,
        registry.datasets,
        flows,
        registry.functions,
        contracts.promises,
        contracts.notes,
    )
    return Declared(pipeline, tuple(registry.problems), tuple(registry.unread))


def _give_checks(registry: Registry) -> Contracts:
    """Add to the datasets what files of checks and contracts expect of them."""
    project, problems = registry.project, registry.problems
    if not quality_files(project.root):
        return Contracts()
    groups = load_checks(project, problems)
    unread = bool(registry.unread)
    for name, more in with_checks(registry.datasets, groups, registry, problems, unread).items():
        dataset = next(d for d in registry.datasets if d.name == name)
        registry.expect(name, doubled(dataset, more, problems))
    contracts = load_contracts(registry)
    promised = with_checks(registry.datasets, contracts.groups, registry, problems, unread)
    for name, more in promised.items():
        dataset = next(d for d in registry.datasets if d.name == name)
        registry.expect(name, kept_promises(dataset, more, problems))
        for promise in (p for p in contracts.promises if same(p.dataset, name)):
            problems.extend(broken_keys(dataset, promise))
    return contracts


def _check_globs(project: ProjectSpec) -> Iterator[QanatError]:
    """An error for each glob that matches no file."""
    if project.libraries == DEFAULT_LIBRARIES:
        # The default has one glob for SQL and one for Python; a project may have only one kind.
        if not library_files(project):
            yield _nothing(project, "transformations/**")
        return
    for pattern in project.libraries:
        if next(match(project.root, pattern), None) is None:
            yield _nothing(project, pattern)


def _nothing(project: ProjectSpec, pattern: str) -> QanatError:
    return SpecError(
        f"libraries: {pattern!r} matches no .sql or .py file",
        location=Location(project.spec.name),
        hint=f"globs start in the folder of {project.spec.name}",
    )


def _read(path: Path, shown: str) -> str:
    """The text of a file, without a byte order mark.

    Raises:
        SqlSyntaxError: the file cannot be read, or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SqlSyntaxError(
            "the file is not UTF-8 text", location=Location(shown), got=f"byte {error.start}"
        ) from error
    except OSError as error:
        raise SqlSyntaxError(
            f"cannot read the file: {error.strerror}", location=Location(shown)
        ) from error
