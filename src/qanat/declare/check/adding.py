"""Adds checks to a file of checks, and leaves all that its authors have written as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from qanat.declare.check.value import Check
from qanat.declare.check.written import mapping
from qanat.model.name import same

_ALONE = {"dataset", "checks"}
"""The keys of a group that says nothing else of its checks."""


def with_added(text: str, dataset: str, checks: Sequence[Check]) -> str | None:
    """A file of checks with more checks of a dataset; None if it is not written in a usual way.

    They go to the end of the group that is for this dataset and says nothing of its checks, such
    as an action; else to a new group. Comments and all other lines stay.

    Args:
        text: of the file; empty if there is none.
    """
    added = [mapping(check) for check in checks]
    group = {"dataset": dataset, "checks": added}
    if not text.strip():
        return f"{text}checks:\n{_indented(_written([group]), '  ')}"
    try:
        before, root = yaml.safe_load(text), yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError:
        return None
    if before is None:  # nothing but comments
        text = text if text.endswith("\n") else f"{text}\n"
        return f"{text}checks:\n{_indented(_written([group]), '  ')}"
    groups = _value(root, "checks")
    known = before.get("checks") if isinstance(before, dict) else None
    if not isinstance(groups, yaml.SequenceNode) or groups.flow_style or not known:
        return None
    at = next(_own(groups, known, dataset), None)
    wanted = [*known]
    if at is not None:
        list_ = _value(groups.value[at], "checks")
        lines = _written(added)
        wanted[at] = {**known[at], "checks": [*known[at]["checks"], *added]}
    else:
        list_ = groups
        lines = _written([group])
        wanted.append(group)
    if not isinstance(list_, yaml.SequenceNode) or list_.flow_style:
        return None
    made = _inserted(text, list_, lines)
    # Whatever YAML allows that was not thought of here: never write what says something else.
    try:
        says = yaml.safe_load(made)
    except yaml.YAMLError:
        return None
    return made if says == {**before, "checks": wanted} else None


def _own(groups: yaml.SequenceNode, known: Sequence[Any], dataset: str) -> Iterator[int]:
    """The numbers of the groups that are for the dataset alone and say nothing else."""
    for at, group in enumerate(known):
        if not isinstance(group, dict) or not group.keys() <= _ALONE or "checks" not in group:
            continue
        list_ = _value(groups.value[at], "checks")
        usual = isinstance(list_, yaml.SequenceNode) and not list_.flow_style
        if usual and same(str(group.get("dataset")), dataset):
            yield at


def _value(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == key:
                return value  # type: ignore[no-any-return]
    return None


class _Flow(dict[str, Any]):
    """Arguments of a check, to be written on one line."""


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Items of lists are indented, as people write them."""
        del indentless
        super().increase_indent(flow, False)


_Dumper.add_representer(
    _Flow,
    lambda dumper, value: dumper.represent_mapping(
        "tag:yaml.org,2002:map", value.items(), flow_style=True
    ),
)
_BREAKS = set("\n\x85\u2028\u2029")


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    """A text; its line breaks as escapes, as lines of a text would be indented here."""
    style = '"' if _BREAKS.intersection(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def _written(items: Sequence[Mapping[str, Any]]) -> str:
    """Items of a list as YAML, without indentation."""
    text = str(
        yaml.dump(
            {"_": [_in_flow(each) for each in items]},
            Dumper=_Dumper,
            sort_keys=False,
            allow_unicode=True,
            width=95,
        )
    )
    return "".join(line[2:] for line in text.splitlines(keepends=True)[1:])


def _in_flow(value: Any) -> Any:
    """The same value, with the arguments of checks to be written on one line."""
    if "checks" in value:
        return {**value, "checks": [_in_flow(each) for each in value["checks"]]}
    return {k: _Flow(v) if isinstance(v, dict) else v for k, v in value.items()}


def _indented(lines: str, indent: str) -> str:
    return "".join(f"{indent}{line}" for line in lines.splitlines(keepends=True))


def _inserted(text: str, list_: yaml.SequenceNode, lines: str) -> str:
    """A text with more items at the end of a list."""
    newline = "\r\n" if "\r\n" in text else "\n"
    indent = " " * list_.start_mark.column
    more = "".join(f"{indent}{line}{newline}" for line in lines.splitlines())
    kept = text.splitlines(keepends=True)
    after = _last_line(list_) + 1
    if not kept[after - 1].endswith(("\n", "\r")):
        kept[after - 1] += newline
    return "".join([*kept[:after], more, *kept[after:]])


def _last_line(node: yaml.Node) -> int:
    """The last line of a value, counted from 0: a list itself ends where the next thing begins."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _last_line(last[1] if isinstance(last, tuple) else last)
    mark = node.end_mark
    block = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")
    return int(mark.line - 1 if block and mark.column == 0 else mark.line)
