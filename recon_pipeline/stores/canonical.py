"""One text for one value: JSON as it came over the wire, with numbers exact, keys in order and nothing superfluous."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def canonical_json(value: Any) -> str:
    """JSON of text, int, Decimal, bool, None, mappings and sequences; a Decimal is a number with all its digits.

    TypeError for anything else: a float would have lost digits on its way here.
    """
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if value is None or isinstance(value, bool | int):
        return json.dumps(value)
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, Mapping):
        inside = (f"{json.dumps(str(key), ensure_ascii=False)}:{canonical_json(value[key])}" for key in sorted(value))
        return "{" + ",".join(inside) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(canonical_json, value)) + "]"
    raise TypeError(f"{type(value).__name__} is not exact JSON")


def digest_of_json(*values: Any) -> str:
    """sha256 over the canonical JSON of these values."""
    return hashlib.sha256("\n".join(map(canonical_json, values)).encode()).hexdigest()


def _number(value: Decimal) -> str:
    if not value.is_finite():
        raise TypeError(f"{value} is not a JSON number")
    # digits as they came: 1.10 stays 1.10, and an exponent that would write thousands of zeros stays an exponent
    return str(value) if abs(value.adjusted()) > 40 else f"{value:f}"
