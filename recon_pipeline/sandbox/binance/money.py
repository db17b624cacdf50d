"""Amounts: Decimal throughout, eight decimals as the venue keeps them, and the text that stands on the wire."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

ZERO = Decimal(0)
_EIGHT = Decimal("1E-8")


def floor8(amount: Decimal) -> Decimal:
    """The amount cut to eight decimals, towards zero."""
    return amount.quantize(_EIGHT, rounding=ROUND_DOWN)


def text8(amount: Decimal) -> str:
    """Always eight decimals: `8.91000000`. An amount that has more is no amount of the venue's, and would be another
    than the one that moved: ValueError."""
    if amount != floor8(amount):
        raise ValueError(f"{amount} has more than eight decimals")
    return f"{amount:.8f}"


def plain(amount: Decimal) -> str:
    """No more decimals than needed: `8.91`."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
