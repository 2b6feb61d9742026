"""Write a data contract of a dataset as it is declared, and take over checks of other tools."""

from __future__ import annotations

from qanat.declare.check.written import contract_text
from qanat.model.name import Named
from qanat.model.pipeline import Dataset
from qanat.model.schema import Schema
from qanat.planning.lineage import dataset_of
from qanat.run.columns import as_stored, columns_above, describe
from qanat.run.session import Session


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
