"""Commands in hints, completed by the project and environment that the user's command named."""

from __future__ import annotations

import re
import shlex

_COMMAND = re.compile(
    r"\bqanat (?:quarantine (?:list|show|replay|discard|export)|anomalies (?:list|mark)"
    r"|export (?:contract|openlineage)|import checks|contract diff|run|validate|plan|test|backtest"
    r"|suggest|query|show|lineage|diff|report|history|promote|maintain|pause|resume|rename|drop|profile|doctor)\b"
)
_END = re.compile(r"[;`\n]|\bqanat ")


def aimed(text: str, options: str) -> str:
    """A text in which every command works on the project and environment that the user chose.

    Hints are made without knowing how the user called: typed as they are, they would work on the
    environment `dev` of the project that is here. An option that a command has already stays; one
    that names another project is left alone.

    Args:
        options: `-C` and `-e` as the user gave them, such as ` -C shop -e prod`; may be empty.

    >>> aimed("first: qanat drop orders; or qanat run -e dev --select orders", " -C shop -e prod")
    'first: qanat drop -C shop -e prod orders; or qanat run -C shop -e dev --select orders'
    """
    return _COMMAND.sub(lambda m: m[0] + _lacking(text[m.end() :], options), text)


def _lacking(rest: str, options: str) -> str:
    """The options that a command lacks, which goes on with `rest`."""
    own = set((_END.split(rest, maxsplit=1)[0]).split())
    if own & {"-C", "--project", "--help"}:
        return ""
    words = shlex.split(options)
    pairs = zip(words[::2], words[1::2], strict=True)
    lacking = (p for p in pairs if p[0] != "-e" or not own & {"-e", "--env"})
    return "".join(f" {shlex.join(pair)}" for pair in lacking)
