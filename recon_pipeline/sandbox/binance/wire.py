"""JSON as the venue writes it: UTF-8, no spaces; a `Number` stands on the wire as a number, digit for digit."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

_MARK = "\x00#"
_MARKED = re.compile(rb'"\\u0000#([^"]*)"')


def number(amount: Decimal) -> str:
    """An amount that the venue sends as a JSON number (mining does): exact, where a float would not be."""
    text = f"{amount:f}"
    return _MARK + (text.rstrip("0").rstrip(".") if "." in text else text)


def encode(content: Any) -> bytes:
    """The bytes of an answer; bytes stay as they are."""
    if isinstance(content, bytes):
        return content
    told = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    return _MARKED.sub(rb"\1", told) if b"\\u0000#" in told else told
