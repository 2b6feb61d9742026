"""The keys of a spec, and the values that they allow."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from qanat.declare.files import DEFAULT_LIBRARIES
from qanat.model.dataset import Drift
from qanat.text.quantities import parse_size


def _size(value: Any) -> Any:
    """YAML reads `1000` as a number, which is bytes."""
    return parse_size(value) if isinstance(value, str) else value


def _text(value: Any) -> Any:
    """A scalar as text: YAML reads `start: 2013` as a number, but configuration is text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def _globs(value: Any) -> Any:
    """Globs as a tuple of text, from plain globs or SDP's `glob: {include: …}`."""
    found = []
    for item in [value] if isinstance(value, str) else value or ():
        include = item
        if isinstance(item, dict) and set(item) == {"glob"}:
            include = item["glob"]
            if isinstance(include, dict) and set(include) == {"include"}:
                include = include["include"]
        if not isinstance(include, str) or not include:
            raise ValueError("a glob such as transformations/**, or glob: {include: …}")
        found.append(include)
    return tuple(found)


Text = Annotated[str, BeforeValidator(_text)]
Name = Annotated[str, BeforeValidator(_text), Field(min_length=1)]


class Settings(BaseModel):
    """The settings of a spec with one environment applied."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[Name, Field(description="of the project")]
    storage: Annotated[Name, Field(description="folder for tables and the ledger")] = "storage"
    catalog: Annotated[
        Name | None, Field(description="may stand before names in queries; otherwise unused")
    ] = None
    schema_: Annotated[
        Name | None,
        Field(alias="schema", description="may stand before names in queries; also `database`"),
    ] = None
    configuration: Annotated[
        dict[str, Text], Field(description="values for `${name}` in SQL, as in SDP")
    ] = {}
    libraries: Annotated[
        tuple[str, ...],
        BeforeValidator(_globs),
        Field(description="globs of `.sql` and `.py` files, also as SDP's `glob: {include: …}`"),
    ] = DEFAULT_LIBRARIES
    dialect: Annotated[
        Literal["duckdb", "spark"],
        Field(description="of all SQL; in a `spark-pipeline.yml` the default is `spark`"),
    ] = "duckdb"
    engine: Annotated[Name, Field(description="what computes")] = "duckdb"
    table_format: Annotated[Name, Field(description="what tables are stored as")] = "delta"
    storage_options: Annotated[
        dict[str, Text], Field(description="of the table format, such as its catalog")
    ] = {}
    ledger: Annotated[
        Name | None, Field(description="`postgresql://…`; without it SQLite in the storage")
    ] = None
    memory_limit: Annotated[
        int | None,
        BeforeValidator(_size),
        Field(ge=1, description="such as `4GB`, then spill to disk; default: 60 % of the memory"),
    ] = None
    threads: Annotated[
        int | None, Field(ge=1, description="default: every core the process may use")
    ] = None
    retries: Annotated[
        int, Field(ge=0, description="of what can be retried, such as a store that times out")
    ] = 3
    schema_drift: Annotated[
        Drift, Field(description="of datasets without the property `qanat.schema_drift`")
    ] = Drift.EVOLVE


KEYS: tuple[str, ...] = tuple(f.alias or n for n, f in Settings.model_fields.items())
"""The keys that an author may write, apart from `database`, SDP's other name of `schema`."""
