"""Personal data made unrecognisable, so that rows of a table may stand in a file of tests.

The same value gets the same mask, other values get others, and the form stays: letters become
letters, digits become digits. A mask is drawn by the place at which its value comes first, not
from the value, so that nobody can find the value by trying.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from qanat.model.name import Names, fold

_PERSONAL = re.compile(
    r"(^|_)(e?mail|phone|mobile|tel|telephone|fax|name|firstname|lastname|surname|fullname"
    r"|username|user|login|nick|iban|bic|account|card|pan|ssn|passport|license|licence|tax|vat"
    r"|address|addr|street|zip|zipcode|postcode|postal|birth|birthday|birthdate|born|dob|ip"
    r"|gender|sex|salary|person|contact|owner|password|secret|token)(s|_|$|\d)"
)
_TEXTS = re.compile(
    r"[\w.+-]+@[\w-]+(\.[\w-]+)+"  # a mail address
    r"|\b[A-Z]{2}\d{2}( ?[A-Z0-9]){11,30}\b"  # an IBAN
    r"|\+?\b\d([ ()/.-]*\d){7,}\b"  # a phone number, card, account or social security number
    r"|\b\d{1,3}(\.\d{1,3}){3}\b"  # an IPv4 address
)
_STAMP = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")
_LOWER, _UPPER, _DIGITS = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
_SHORT = 3
"""A known value of fewer letters is not looked for within other texts: it is part of any word."""


def is_personal(column: str) -> bool:
    """True if a column has personal data, by its name.

    >>> names = ("email", "customerName", "home_phone", "amount", "filename")
    >>> [name for name in names if is_personal(name)]
    ['email', 'customerName', 'home_phone']
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column)
    return _PERSONAL.search(re.sub(r"[\W_]+", "_", words).lower()) is not None


class Masks:
    """The masks of one set of rows.

    Args:
        columns: that are personal, whatever their names are.

    >>> masks = Masks()
    >>> row = {"id": 1, "email": "ada@example.org", "note": "wrote to ADA@example.org"}
    >>> masks.learn([row])
    >>> masked = masks.mask(row)
    >>> masked["id"], "ada" in str(masked).lower(), masked["email"].count("@")
    (1, False, 1)
    """

    def __init__(self, columns: Collection[str] = ()) -> None:
        self._columns = Names(columns)
        self._masks: dict[tuple[str, str], Any] = {}
        self._given: set[tuple[str, str]] = set()
        self._known: dict[str, str] = {}
        self._within: re.Pattern[str] | None = None

    def learn(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Note the personal values of rows, so that they are masked within other texts, too."""
        for row in rows:
            self._walk(row, False, self._note)
        words = sorted(self._known, key=lambda w: (-len(w), w))
        if words:
            self._within = re.compile("|".join(map(re.escape, words)), re.IGNORECASE)

    def mask(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row without personal data."""
        found = self._walk(row, False, self._masked)
        assert isinstance(found, dict)  # noqa: S101
        return found

    def _walk(self, value: Any, personal: bool, act: Callable[[Any, bool], Any]) -> Any:
        if isinstance(value, Mapping):
            return {
                act(k, False): self._walk(v, personal or self._is_personal(str(k)), act)
                for k, v in value.items()
            }
        if isinstance(value, list | tuple):
            return [self._walk(each, personal, act) for each in value]
        return act(value, personal)

    def _is_personal(self, name: str) -> bool:
        return name in self._columns or is_personal(name)

    def _note(self, value: Any, personal: bool) -> Any:
        if not personal or not isinstance(value, str):
            return value
        for text in (value.strip(), *re.findall(r"\w+", value)):
            if len(text) > _SHORT and not text.isspace():
                self._known.setdefault(fold(text), text)
        return value

    def _masked(self, value: Any, personal: bool) -> Any:
        if value is None or isinstance(value, bool | bytes):
            return None if personal and isinstance(value, bytes) else value
        if isinstance(value, str):
            return self._text(value) if personal else self._within_text(value)
        return self._drawn(value) if personal else value

    def _within_text(self, text: str) -> str:
        if not _STAMP.fullmatch(text):
            text = _TEXTS.sub(lambda found: self._text(found[0]), text)
        if self._within is None:
            return text
        return self._within.sub(lambda found: self._text(found[0]), text)

    def _text(self, text: str) -> str:
        if _STAMP.fullmatch(text):
            return str(self._drawn(datetime.fromisoformat(text)).isoformat())[: len(text)]
        key = fold(text)
        masks: str = self._once("text", key, lambda chance: _like(key, chance))
        # The same letters whatever the case, so that texts that differ in it still do so alike.
        if len(masks) != len(text):
            return masks
        return "".join(m.upper() if t.isupper() else m for m, t in zip(masks, text, strict=True))

    def _drawn(self, value: Any) -> Any:
        if isinstance(value, date):
            return self._once(
                "date",
                value.isoformat(),
                lambda chance: value - timedelta(chance.randint(40, 4000)),
            )
        if isinstance(value, int | float | Decimal):
            kind: Any = type(value)
            number = str(value)
            return self._once("number", number, lambda chance: kind(_like(number, chance)))
        return None

    def _once(self, kind: str, key: str, draw: Callable[[random.Random], Any]) -> Any:
        """The mask of a value; the next that is drawn if another value has it already."""
        if (kind, key) not in self._masks:
            number, found = 0, draw(self._chance(kind, 0))
            while (kind, str(found)) in self._given or str(found) == key:
                number += 1
                if number > 1000:  # all texts of that form are taken, as of one digit
                    break
                found = draw(self._chance(kind, number))
            self._given.add((kind, str(found)))
            self._masks[kind, key] = found
        return self._masks[kind, key]

    def _chance(self, kind: str, number: int) -> random.Random:
        return random.Random(f"{kind} {len(self._masks)} {number}")  # noqa: S311


def _like(text: str, chance: random.Random) -> str:
    """A text of the same form; a number keeps its sign, its point, and no zero in front."""
    made = []
    for place, each in enumerate(text):
        if each.isdigit():
            leading = place == 0 or not text[place - 1].isdigit()
            made.append(chance.choice(_DIGITS[1:] if leading and each != "0" else _DIGITS))
        elif each.isalpha():
            made.append(chance.choice(_UPPER if each.isupper() else _LOWER))
        else:
            made.append(each)
    return "".join(made)
