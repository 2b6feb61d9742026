"""Write a data contract of a dataset as it is declared, and take over checks of other tools."""

from __future__ import annotations

from pathlib import Path

from qanat import plugins
from qanat.declare.check import versions
from qanat.declare.check.written import contract_text
from qanat.declare.registry import Registry
from qanat.model.contract import ContractDiff
from qanat.model.name import Named
from qanat.model.pipeline import Dataset
from qanat.model.schema import Schema
from qanat.planning.lineage import dataset_of
from qanat.run.columns import as_stored, columns_above, describe
from qanat.run.session import Session


def compare_contracts(session: Session, old: Path, new: Path) -> ContractDiff:
    """What has changed from one version of a contract to the next.

    Raises:
        ProblemsError, SpecError: one of them is not as the standard has it, or cannot be read.
    """
    return versions.compare_contracts(old, new, Registry(session.project, plugins.connectors()))


def export_contract(session: Session, name: str, version: str = "1.0.0") -> str:
    """A contract of the Open Data Contract Standard for a dataset, as YAML.

    Args:
        version: of the contract.

    Raises:
        DatasetNotFoundError: no such dataset is declared.
        ProblemsError: the declarations are wrong.
    """
    session.require()
    dataset = dataset_of(session.pipeline, name)
    definitions = session.recorded.definitions()

    def columns(each: Dataset, above: Named[Schema]) -> Schema | None:
        return as_stored(session, each, above, definitions.get(each.name))

    known = columns_above(session, dataset, columns)
    found = describe(session, dataset, known, definitions.get(dataset.name))
    schema = found.schema or dataset.schema
    return contract_text(dataset, schema, version, session.project.dialect)
