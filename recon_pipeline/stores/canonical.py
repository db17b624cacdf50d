"""One text for one value: JSON as it came over the wire, with numbers exact, keys in order and nothing superfluous."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from decimal import Decimal
from json.encoder import encode_basestring as _quoted
from types import NoneType
from typing import Any


def canonical_json(value: Any) -> str:
    """JSON of text, int, Decimal, bool, None, mappings and sequences; a Decimal is a number with all its digits.

    TypeError for anything else: a float would have lost digits on its way here.
    """
    kind = type(value)
    scalar = _SCALARS.get(kind)
    if scalar is not None:
        return scalar(value)
    if kind is list or kind is tuple:
        return "[" + ",".join([canonical_json(each) for each in value]) + "]"
    if kind is dict or isinstance(value, Mapping):
        return "{" + ",".join([f"{_quoted(key)}:{canonical_json(value[key])}" for key in sorted(value)]) + "}"
    raise TypeError(f"{kind.__name__} is not exact JSON")


def digest_of_json(*values: Any) -> str:
    """sha256 over the canonical JSON of these values."""
    return hashlib.sha256("\n".join(map(canonical_json, values)).encode()).hexdigest()


def _number(value: Decimal) -> str:
    if not value.is_finite():
        raise TypeError(f"{value} is not a JSON number")
    # digits as they came: 1.10 stays 1.10, and an exponent that would write thousands of zeros stays an exponent
    return str(value) if abs(value.adjusted()) > 40 else f"{value:f}"


_SCALARS: Mapping[type, Callable[[Any], str]] = {
    str: _quoted,
    int: str,
    Decimal: _number,
    bool: lambda value: "true" if value else "false",
    NoneType: lambda _: "null",
}
