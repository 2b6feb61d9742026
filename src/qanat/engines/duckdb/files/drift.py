"""Schema drift: which columns a batch has if its files have other columns than those known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from qanat.engines.duckdb.files.bound import check_names, nullable
from qanat.engines.duckdb.files.widen import extend
from qanat.errors import SchemaDriftError, nearest
from qanat.model.batch import FilesBatch
from qanat.model.dataset import Drift
from qanat.model.schema import STRING, DataType, Field, Schema
from qanat.model.work import RESCUED


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a batch.

    Args:
        fields: the visible columns that files or folder names fill, in order.
        extras: the case-folded names of unexpected columns, whose values are rescued.
        rescue: True if the column `_rescued_data` follows the fields.
    """

    fields: tuple[Field, ...]
    extras: frozenset[str] = frozenset()
    rescue: bool = False

    @property
    def schema(self) -> Schema:
        """The visible columns, each nullable."""
        last = (Field(RESCUED, STRING),) if self.rescue else ()
        return nullable((*self.fields, *last))


def expected(batch: FilesBatch) -> Schema:
    """The columns that are known before a file is opened.

    They are in the order of earlier epochs and have the declared types. `_rescued_data` is left
    out: Qanat fills it, no file has it.
    """
    order = list(batch.known.fields)
    order += [f for f in batch.declared.fields if batch.known.get(f.name) is None]
    fields = [batch.declared.get(f.name) or f for f in order]
    if batch.drift is Drift.RESCUE:
        fields = [f for f in fields if f.name.casefold() != RESCUED]
    return Schema(tuple(fields))


def lay_out(
    batch: FilesBatch,
    found: Mapping[str, str],
    infer: Callable[[Sequence[str]], Mapping[str, DataType]],
    found_types: Mapping[str, DataType] | None = None,
) -> Layout:
    """Decide a batch's columns by its drift policy.

    Args:
        batch: the batch.
        found: the columns of its files in order of appearance, each with a file that has it.
        infer: gives the types of new columns, by name.
        found_types: the types of columns in typed files, by case-folded name. Under `evolve`, a
            struct whose type is not declared gains the new fields of these.

    Raises:
        SchemaDriftError: the files have a new column, and the policy is `freeze`.
        OptionError: a column has a reserved name.
    """
    base = expected(batch)
    rescue = batch.drift is Drift.RESCUE
    names = {f.name.casefold() for f in base.fields}
    new = [name for name in found if name.casefold() not in names]
    extras: set[str] = set()
    if rescue:
        extras = {n.casefold() for n in new if base.fields or n.casefold() == RESCUED}
        new = [n for n in new if n.casefold() not in extras]
    check_names([f.name for f in base.fields] + new, batch.path)
    if new and base.fields and batch.drift is Drift.FREEZE:
        raise frozen(batch, new, found[new[0]], base)
    types = infer(new) if new else {}
    old = base.fields
    if found_types and batch.drift is Drift.EVOLVE:
        old = tuple(_grown(f, batch, found_types) for f in old)
    fields = (*old, *(Field(n, types.get(n, STRING)) for n in new))
    return Layout(fields, frozenset(extras), rescue)


def _grown(field: Field, batch: FilesBatch, found_types: Mapping[str, DataType]) -> Field:
    found = found_types.get(field.name.casefold())
    if found is None or batch.declared.get(field.name) is not None:
        return field
    return Field(field.name, extend(field.type, found), field.nullable, field.comment)


def frozen(batch: FilesBatch, new: Sequence[str], path: str, base: Schema) -> SchemaDriftError:
    """The error for new columns under the policy `freeze`."""
    several = len(new) > 1
    missing = [f.name for f in base.fields]
    return SchemaDriftError(
        f"{path} has {'columns' if several else 'a column'} that {batch.path} did not have: "
        + ", ".join(repr(n) for n in new),
        wanted=", ".join(str(f) for f in base.fields),
        got=", ".join(new),
        nearest=nearest(new[0], missing),
        hint="declare "
        + ("them" if several else "it")
        + " in schema, or let new columns in: TBLPROPERTIES ('qanat.schema_drift' = 'evolve')",
    )


def unlike(found: Mapping[str, str]) -> dict[str, str]:
    """The columns found, without those whose names differ from an earlier one only by case."""
    first: dict[str, tuple[str, str]] = {}
    for name, path in found.items():
        first.setdefault(name.casefold(), (name, path))
    return dict(first.values())
