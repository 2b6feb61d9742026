"""Checks of Soda: SodaCL (`checks for orders:`), and Soda's data contracts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from qanat.declare.check.value import Check
from qanat.declare.document import Entry
from qanat.declare.imports.reading import Imported, listed, made, text

_FOR = re.compile(r"checks for (\S+)(?: \[(.+)\])?", re.IGNORECASE)
_FILTER = re.compile(r"filter (\S+) \[(.+)\]", re.IGNORECASE)
_WHEN = re.compile(
    r"when\s+(?:(?P<op><=|>=|!=|<>|=|<|>)\s*(?P<value>[\w.+-]+)(?P<percent>\s*%)?"
    r"|(?P<negated>not\s+)?between\s+(?P<low>[\w.+-]+)\s+and\s+(?P<high>[\w.+-]+))",
    re.IGNORECASE,
)
_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "=": "!=", "!=": "=", "<>": "="}
_METRIC = re.compile(
    r"(?P<metric>\w+)\s*(?:\((?P<columns>[^)]*)\))?\s*"
    r"(?:(?P<op><=|>=|!=|<>|=|<|>)\s*(?P<value>[\w.+-]+)\s*(?P<percent>%)?"
    r"|(?P<negated>not\s+)?between\s+(?P<low>[\w.+-]+)\s+and\s+(?P<high>[\w.+-]+))",
    re.IGNORECASE,
)
_EXIST = re.compile(
    r"values in \(?([\w, ]+?)\)? must exist in (\S+?) ?\(?([\w, ]+?)\)?", re.IGNORECASE
)
_AGGREGATES = {
    "avg": "avg({})",
    "sum": "sum({})",
    "min": "min({})",
    "max": "max({})",
    "stddev": "stddev_samp({})",
    "avg_length": "avg(length({}))",
    "min_length": "min(length({}))",
    "max_length": "max(length({}))",
}
_FORMATS = {
    "email": "email",
    "uuid": "uuid",
    "ipv4 address": "ipv4",
    "ipv6 address": "ipv6",
    "ip address": "ipv4",
    "date iso 8601": "timestamp",
    "integer": "integer",
    "decimal": "number",
    "phone number": "phone",
}
_THRESHOLDS = {
    "must_be": "=",
    "must_not_be": "<>",
    "must_be_greater_than": ">",
    "must_be_greater_than_or_equal": ">=",
    "must_be_less_than": "<",
    "must_be_less_than_or_equal": "<=",
}
_SPANS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_WHY = "no check means the same"


def read_soda(document: Entry, dataset: str | None) -> Imported:
    """The checks of a file of SodaCL, or of a contract."""
    found = Imported()
    top = document.value if isinstance(document.value, dict) else {}
    if "dataset" in top:
        # `datasource/database/schema/table` in version 4.
        target = dataset or (text(document, "dataset") or "").split("/")[-1]
        _contract(document, target, found)
        return found
    filters = _filters(top)
    for key, entry in top.items():
        named = _FOR.fullmatch(key.strip())
        if named is None:
            if _FILTER.fullmatch(key.strip()) is None:
                found.note(key, _WHY, entry.key_at)
            continue
        where = filters.get((named[1].lower(), named[2].lower())) if named[2] else None
        if named[2] and (where is None or _variable(where)):
            found.note(
                key, "its filter has variables" if where else "no such filter", entry.key_at
            )
            continue
        for each in entry.value if isinstance(entry.value, list) else []:
            _check(each, dataset or named[1], where, found)
    return found


def _filters(top: Mapping[str, Entry]) -> dict[tuple[str, str], str]:
    """The conditions of filters, by dataset and name."""
    found = {}
    for key, entry in top.items():
        named = _FILTER.fullmatch(key.strip())
        if named is not None and (where := text(entry, "where")):
            found[named[1].lower(), named[2].lower()] = where
    return found


def _variable(where: str) -> bool:
    """True if a condition has variables, which are given when Soda is called."""
    return "${" in where


def _check(entry: Entry, dataset: str, where: str | None, found: Imported) -> None:
    written, options = str(entry.text), entry
    if isinstance(entry.value, dict):
        written, options = next(iter(entry.value.items()))
    plain = options.plain if isinstance(options.value, dict) else {}
    own = plain.get("filter")
    conditions = [str(each) for each in (where, own) if each]
    condition = (
        " AND ".join(f"({c})" for c in conditions) if conditions[1:] else "".join(conditions)
    )
    name = re.sub(r"\W+", "_", str(plain.get("name") or "")).strip("_").lower()
    attributes = plain.get("attributes")
    owner = attributes.get("owner") if isinstance(attributes, dict) else None
    levels = [level for level in ("warn", "fail") if level in plain]
    for level in levels or ["fail"]:
        told = f"{written} of {dataset}" + (f", {level}" if levels else "")
        meant = _unless(written.strip(), plain[level]) if levels else written.strip()
        check = _of_text(meant, plain) if meant else None
        if check is None or _variable(condition):
            found.note(told, _WHY, entry.at)
            continue
        called = name
        if not called and (check.kind in ("sql", "aggregate") or levels[1:]):
            called = re.sub(r"\W+", "_", written).strip("_").lower()
        if levels[1:]:
            called += f"_{level}"
        said = {
            "name": called or None,
            "action": level,
            "owner": owner,
            "where": condition or None,
        }
        found.add(dataset, check.having(**said))


def _unless(written: str, when: object) -> str | None:
    """A metric with the condition that holds unless an alert is due; None if there is none."""
    parts = _WHEN.fullmatch(str(when).strip()) if not isinstance(when, list | dict) else None
    if parts is None:
        return None
    if parts["op"] is not None:
        return f"{written} {_OPPOSITE[parts['op']]} {parts['value']}{parts['percent'] or ''}"
    word = "between" if parts["negated"] else "not between"
    return f"{written} {word} {parts['low']} and {parts['high']}"


def _of_text(written: str, plain: Mapping[str, Any]) -> Check | None:
    exist = _EXIST.fullmatch(written)
    if exist is not None:
        mine, theirs = (_names(exist[n]) for n in (1, 3))
        return made("references", columns=mine, dataset=exist[2], target=theirs)
    fresh = re.fullmatch(r"freshness\s*\((\w+)\)\s*<\s*(\d+)([dhms])", written.lower())
    if fresh is not None:
        return made("fresh", column=fresh[1], within=f"{fresh[2]} {_SPANS[fresh[3]]}")
    parts = _METRIC.fullmatch(written)
    if parts is None:
        return None
    columns = _names(parts["columns"] or "")
    compared = _compared(parts)
    zero = parts["op"] == "=" and parts["value"] == "0"
    metric = parts["metric"].lower()
    if metric == "row_count":
        return _row_count(parts, compared)
    if metric in _AGGREGATES and len(columns) == 1:
        what = _AGGREGATES[metric].format(columns[0])
        return made("aggregate", condition=f"{what} {compared}")
    kind, _, unit = metric.rpartition("_")
    if kind in ("missing", "invalid", "duplicate") and unit in ("count", "percent") and columns:
        most = _most(parts, unit)
        return None if most is None and not zero else _counted(kind, columns, plain, most)
    return None


def _row_count(parts: re.Match[str], compared: str) -> Check:
    low, high, value = parts["low"], parts["high"], parts["value"]
    if low and low.isdigit() and high.isdigit() and not parts["negated"]:
        return made("row_count", min=int(low), max=int(high))
    if value and value.isdigit() and parts["op"] in (">", ">=", "<", "<=", "="):
        number, op = int(value), parts["op"]
        least = {">": number + 1, ">=": number, "=": number}.get(op)
        most = {"<": number - 1, "<=": number, "=": number}.get(op)
        return made("row_count", min=least, max=most)
    return made("aggregate", condition=f"count(*) {compared}").named("row_count")


def _compared(parts: re.Match[str]) -> str:
    if parts["op"] is None:
        negated = "NOT " if parts["negated"] else ""
        return f"{negated}BETWEEN {parts['low']} AND {parts['high']}"
    return f"{parts['op'].replace('!=', '<>')} {parts['value']}"


def _most(parts: re.Match[str], unit: str) -> str | None:
    """How many rows may break a rule: what `<= 5` and `< 5 %` say; None if they say it not."""
    if parts["op"] not in ("<", "<=") or parts["value"] is None:
        return None
    if unit == "percent":
        # `< 5 %` is the same but for exactly that share.
        return f"{float(parts['value']):g} %"
    return f"{int(parts['value']) - (parts['op'] == '<')} rows"


def _counted(
    kind: str, columns: list[str], plain: Mapping[str, Any], most: str | None
) -> Check | None:
    if kind == "duplicate":
        return made("unique", columns=columns).having(tolerate=most)
    column = columns[0]
    if kind == "missing":
        values = plain.get("missing values") or plain.get("missing_values")
        check = made("not_null", columns=[column])
        if values:
            check = made("not_missing", column=column, values=values)
        return check.having(tolerate=most)
    checks = [*_valid(column, {k.replace("_", " "): v for k, v in plain.items()})]
    return checks[0].having(tolerate=most) if len(checks) == 1 else None


def _valid(column: str, given: Mapping[str, Any]) -> Iterator[Check]:
    if (values := given.get("valid values")) is not None:
        yield made("one_of", null=True, column=column, values=values)
    if (pattern := given.get("valid regex")) is not None:
        yield made("matches", null=True, column=column, pattern=pattern)
    if isinstance(form := given.get("valid format"), dict):
        yield made("matches", null=True, column=column, pattern=form.get("regex"))
    elif form is not None and (name := _FORMATS.get(str(form).lower())) is not None:
        yield made("format", null=True, column=column, name=name)
    low, high = given.get("valid min"), given.get("valid max")
    if low is not None or high is not None:
        yield made("between", null=True, column=column, min=low, max=high)
    low, high = given.get("valid min length"), given.get("valid max length")
    exact = given.get("valid length")
    if exact is not None or low is not None or high is not None:
        least, most = (exact, exact) if exact is not None else (low, high)
        yield made("length", null=True, column=column, min=least, max=most)


def _contract(document: Entry, dataset: str, found: Imported) -> None:
    for column in listed(document, "columns"):
        name = text(column, "name") or ""
        for each in listed(column, "checks"):
            _of_contract(each, dataset, name, found)
    for each in listed(document, "checks"):
        _of_contract(each, dataset, None, found)


def _of_contract(entry: Entry, dataset: str, column: str | None, found: Imported) -> None:
    kind, options = (
        next(iter(entry.value.items())) if isinstance(entry.value, dict) else ("", entry)
    )
    plain = options.plain if isinstance(options.value, dict) else {}
    check = _known(kind, column, plain)
    if check is None:
        found.note(f"{kind} of {column or dataset}", _WHY, entry.at)
        return
    name = re.sub(r"\W+", "_", str(plain.get("name") or "")).strip("_").lower()
    found.add(dataset, check.having(action="fail", **({"name": name} if name else {})))


def _known(kind: str, column: str | None, plain: Mapping[str, Any]) -> Check | None:
    threshold = plain.get("threshold")
    limits = threshold if isinstance(threshold, dict) else {}
    columns = plain.get("columns") or ([column] if column else [])
    if kind in ("missing", "invalid", "duplicate") and columns:
        most = limits.get("must_be_less_than_or_equal")
        if limits and (most is None or set(limits) - {"must_be_less_than_or_equal", "metric"}):
            return None
        unit = "%" if limits.get("metric") == "percent" else "rows"
        return _counted(kind, list(columns), plain, None if most is None else f"{most} {unit}")
    if kind == "freshness" and plain.get("column"):
        most = limits.get("must_be_less_than") or limits.get("must_be_less_than_or_equal")
        within = f"{most} {limits.get('unit', 'hour')}s"
        return None if most is None else made("fresh", column=plain["column"], within=within)
    what = "count(*)" if kind == "row_count" else None
    if kind == "aggregate" and column:
        what = _AGGREGATES.get(str(plain.get("function")), "").format(column) or None
    if what is None:
        return None
    if kind == "row_count" and not limits:
        limits = {"must_be_greater_than": 0}
    parts = [f"{what} {_THRESHOLDS[k]} {v}" for k, v in limits.items() if k in _THRESHOLDS]
    inner = limits.get("must_be_between")
    if isinstance(inner, dict):
        low, high = inner.get("greater_than_or_equal"), inner.get("less_than_or_equal")
        parts.append(f"{what} BETWEEN {low} AND {high}")
    if not parts:
        return None
    name = "row_count" if kind == "row_count" else f"{column}_{plain.get('function')}"
    return made("aggregate", condition=" AND ".join(parts)).named(name)


def _names(written: str) -> list[str]:
    return [name.strip() for name in written.split(",") if name.strip()]
