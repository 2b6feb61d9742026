"""Values of the environment that a spec uses: shown by the names of their variables.

Which of them are secret, nobody says. So errors, and what the ledger keeps, have all of them as
`${NAME}`, but for words and numbers that may well stand in a text for another reason. A value
whose variable is called like a secret is masked whatever it is.
"""

from __future__ import annotations

import re

_SECRET = re.compile(r"pass|pwd|pw\b|_pw|secret|token|key|credential|auth", re.IGNORECASE)
_ORDINARY = re.compile(r"[A-Za-z_]*|[\d.,:+-]*|.{0,5}", re.DOTALL)
_SHORTEST = 3
"""Characters; a shorter value would be found in every second word."""

_names: dict[str, str] = {}


def remember(name: str, value: str) -> None:
    """Show a value by the name of its variable from now on, unless it is an ordinary word.

    Args:
        name: of the environment variable.
    """
    secret = _SECRET.search(name) is not None
    if len(value) >= _SHORTEST and (secret or not _ORDINARY.fullmatch(value)):
        _names[value] = f"${{{name}}}"


def masked(text: str) -> str:
    """A text with the names of variables in the place of their values.

    >>> remember("DB_PASSWORD", "hunter2")
    >>> masked("no such user: joe:hunter2")
    'no such user: joe:${DB_PASSWORD}'
    """
    # Longer values first: they may contain others.
    for value in sorted(_names, key=len, reverse=True):
        if value in text:
            text = text.replace(value, _names[value])
    return text
