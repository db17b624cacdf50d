"""Exact amounts for whole columns: three integers a row (units, billionths, and billionths of those) to decimal128.

numpy has no 128-bit integer. An amount is held as int64 `limbs` of shape (3, n): `units`, `nano` (10^-9) and `atto`
(10^-18), of any sign and size, so that sums over millions of rows stay exact; `normalised` carries them over.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from recon_pipeline.frames.schema import AMOUNT

Ints = npt.NDArray[np.int64]

BILLION = 10**9
ATTOS = 10**18
_LOW_HALF = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def zeros(count: int) -> Ints:
    """Limbs of `count` amounts of zero."""
    return np.zeros((3, count), dtype=np.int64)


def from_attos(attos: int) -> Ints:
    """One amount given in 10^-18 as limbs of shape (3, 1)."""
    units, rest = divmod(attos, ATTOS)
    return np.array([[units], [rest // BILLION], [rest % BILLION]], dtype=np.int64)


def to_attos(limbs: Ints, row: int) -> int:
    """The amount of one row in 10^-18, as a Python integer."""
    units, nano, atto = (int(limb[row]) for limb in limbs)
    return (units * BILLION + nano) * BILLION + atto


def to_amount(attos: int) -> Decimal:
    """An amount given in 10^-18 as a Decimal, with every digit: `scaleb` would round to the context's 28."""
    sign, digits, _ = Decimal(attos).as_tuple()
    return Decimal((sign, digits, -18))


def normalised(limbs: Ints) -> Ints:
    """The same amounts with 0 <= nano, atto < 10^9."""
    units, nano, atto = limbs
    nano = nano + atto // BILLION
    return np.stack([units + nano // BILLION, nano % BILLION, atto % BILLION])


def to_decimals(limbs: Ints, type_: pa.DataType = AMOUNT) -> pa.Array:
    """The amounts as an Arrow decimal128 of scale 18: the 128-bit product is put together from 32-bit halves."""
    units, nano, atto = normalised(limbs)
    fraction = (nano * BILLION + atto).astype(np.uint64)
    factor_low, factor_high = np.uint64(ATTOS & 0xFFFFFFFF), np.uint64(ATTOS >> 32)
    bits = units.view(np.uint64)
    low, high = bits & _LOW_HALF, bits >> _HALF
    low_low, low_high, high_low, high_high = low * factor_low, low * factor_high, high * factor_low, high * factor_high
    middle = (low_low >> _HALF) + (low_high & _LOW_HALF) + (high_low & _LOW_HALF)
    word_low = (low_low & _LOW_HALF) | (middle << _HALF)
    word_high = high_high + (low_high >> _HALF) + (high_low >> _HALF) + (middle >> _HALF)
    # Negative units were read as units + 2^64: take the surplus 2^64 * 10^18 back, modulo 2^128.
    word_high = word_high - np.where(units < 0, np.uint64(ATTOS), np.uint64(0))
    total = word_low + fraction
    word_high = word_high + (total < word_low).astype(np.uint64)
    words: npt.NDArray[Any] = np.ascontiguousarray(np.stack([total, word_high], axis=1))
    return pa.Array.from_buffers(type_, len(units), [None, pa.py_buffer(words)])


def add_by(index: Ints, limbs: Ints, count: int) -> Ints:
    """The sums of `limbs` by `index` (0 <= index < count), as limbs of shape (3, count)."""
    sums = zeros(count)
    for limb, total in zip(limbs, sums, strict=True):
        np.add.at(total, index, limb)
    return sums
