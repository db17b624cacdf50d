"""Secrets that do not show themselves: neither in a text, nor in a log, nor in what an object tells of itself."""

from __future__ import annotations

import re
from collections.abc import Iterable

STARS = "***"
_LENGTH_MIN = 6
"""What is shorter is no secret of any venue, and may be part of any word."""


class Secret:
    """A text that only `reveal` gives away; str, repr, format and pickle do not."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for whoever signs or encrypts."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({STARS})"

    def __str__(self) -> str:
        return STARS

    def __format__(self, spec: str) -> str:
        return STARS

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(("Secret", self._text))

    def __reduce__(self) -> str:
        raise TypeError("a secret is not written down: hand over the name under which it stands")


def without(text: str, secrets: Iterable[str]) -> str:
    """The text without those secrets, in any spelling that a URL or JSON knows."""
    return without_bytes(text.encode("utf-8", "surrogatepass"), secrets).decode("utf-8", "surrogatepass")


def without_bytes(data: bytes, secrets: Iterable[str]) -> bytes:
    """The bytes without those secrets: a venue may repeat the whole question in an error page."""
    for secret in sorted({each for each in secrets if len(each) >= _LENGTH_MIN}, key=len, reverse=True):
        plain = secret.encode()
        spelt = b"".join(_SPELLINGS.get(byte, b"%c" % byte) for byte in plain)
        # a key and a signature in hex have one spelling alone, and are looked for in every answer
        data = data.replace(plain, STARS.encode()) if spelt == plain else re.sub(spelt, STARS.encode(), data)
    return data


def _spellings(byte: int) -> bytes:
    """One byte as it stands, as a URL writes it in capitals or not, or as JSON may: `/` and `\\/` are one to it."""
    itself = re.escape(b"%c" % byte)
    return rb"(?:\\?%b|(?i:%%%02x|\\u%04x)%b)" % (itself, byte, byte, rb"|\+" if byte == ord(" ") else b"")


_SPELLINGS = {byte: _spellings(byte) for byte in range(256) if not chr(byte).isascii() or not chr(byte).isalnum()}
