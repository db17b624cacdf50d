"""One value of a record at a time: amounts, names and instants, exact or refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Context, Decimal, Inexact, InvalidOperation
from typing import Any

from recon_pipeline.venues.binance.streams.shapes import instant_of, is_id

EXACT = Context(prec=120, traps=[])
"""Wide enough for any sum of amounts that the frames take, and it raises nothing: what is wider is rounded."""
ROUNDED = Context(prec=120, traps=[InvalidOperation])
"""For derived figures, which are rounded once; it raises for one that is too long to be rounded."""
_STRICT = Context(prec=120, traps=[Inexact])
"""For amounts as they were sent, which may be of any length: nothing is rounded by accident."""
_AMOUNT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII).fullmatch
_STEP = Decimal("1e-18")
_TOO_LARGE = Decimal("1e18")


class Malformed(Exception):  # noqa: N818 - it never leaves the mapping
    """A value that a record must have is missing, or is not what the venue documents."""


def amount(content: Mapping[str, Any], name: str) -> str:
    """An amount as the text that the venue sent; a number in its place may have been rounded, and is refused."""
    value = content.get(name)
    if type(value) is str and _AMOUNT(value):
        return value
    raise Malformed(_found(name, value, "an amount as text"))


def number(content: Mapping[str, Any], name: str) -> str:
    """An amount that the venue documents as a JSON number; text is taken too."""
    value = content.get(name)
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return format(Decimal(value), "f")
    return amount(content, name)


def optional(content: Mapping[str, Any], name: str) -> str:
    """An amount that the venue may leave out or leave blank: then zero."""
    return "0" if content.get(name) in (None, "") else amount(content, name)


def name_of(content: Mapping[str, Any], name: str) -> str:
    """A code or an id that must be there: text, or a whole number as text."""
    value = content.get(name)
    if is_id(value):
        return str(value)
    raise Malformed(_found(name, value, "text"))


def note(content: Mapping[str, Any], name: str) -> str | None:
    """Text that may be missing or blank."""
    value = content.get(name)
    return str(value) if is_id(value) else None


def flag(content: Mapping[str, Any], name: str) -> bool:
    """A truth value."""
    value = content.get(name)
    if isinstance(value, bool):
        return value
    raise Malformed(_found(name, value, "true or false"))


def moment(content: Mapping[str, Any], *names: str) -> datetime:
    """The first of the fields that states an instant; one that states something else is not passed over."""
    for name in names:
        if (told := optional_moment(content, name)) is not None:
            return told
    raise Malformed(_found(names[0], content.get(names[0]), "an instant"))


def optional_moment(content: Mapping[str, Any], name: str) -> datetime | None:
    """An instant that the venue may leave out, leave blank or tell as zero."""
    value = content.get(name)
    told = instant_of(value)
    if told is None and str(value or "").strip() not in ("", "0"):
        raise Malformed(_found(name, value, "an instant"))
    return told


def items(content: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """A list of objects inside a record."""
    value = content.get(name)
    if isinstance(value, list) and all(isinstance(item, Mapping) for item in value):
        return value
    raise Malformed(_found(name, value, "a list of objects"))


def _found(name: str, value: Any, expected: str) -> str:
    if value is None:
        return f"{name} is missing, {expected} is expected"
    found = "text of another form" if isinstance(value, str) else type(value).__name__
    return f"{name} is {found}, {expected} is expected"


# --- arithmetic on text -----------------------------------------------------------------------------------------------


def negative(text: str) -> str:
    """The amount with the other sign."""
    if text[0] == "-":
        return text[1:]
    return "-" + (text[1:] if text[0] == "+" else text)


def size(text: str) -> str:
    """The amount without its sign."""
    return text[1:] if text[0] in "+-" else text


def is_zero(text: str) -> bool:
    """Whether the amount is zero in any spelling."""
    return not text.lower().partition("e")[0].strip("+-0.")


def is_below_zero(text: str) -> bool:
    """Whether the amount is less than zero."""
    return text[0] == "-" and not is_zero(text)


def total(*texts: str) -> str:
    """The exact sum."""
    added = Decimal(0)
    try:
        for text in texts:
            added = _STRICT.add(added, Decimal(text))
    except Inexact:
        raise Malformed(f"a sum is longer than {_STRICT.prec} digits") from None
    return format(added, "f")


def minus(one: str, other: str) -> str:
    """The exact difference."""
    return total(one, negative(other))


def product(one: str, other: str) -> str:
    """The exact product."""
    try:
        return format(_STRICT.multiply(Decimal(one), Decimal(other)), "f")
    except Inexact:
        raise Malformed(f"a product is longer than {_STRICT.prec} digits") from None


def rounded(value: Decimal) -> str:
    """A derived figure, rounded once to 18 decimals, half away from zero."""
    try:
        return format(value.quantize(_STEP, ROUND_HALF_UP, ROUNDED), "f")
    except InvalidOperation:
        raise Malformed(f"a figure is longer than {ROUNDED.prec} digits") from None


def fitting(text: str) -> str:
    """The amount without superfluous zeros, if the frames take it: 18 digits before and after the point at the most."""
    value = Decimal(text)
    if value.copy_abs() >= _TOO_LARGE or Decimal(rounded(value)) != value:
        raise Malformed("a figure has more than 18 digits before or after the point")
    return format(_STRICT.normalize(value), "f")
