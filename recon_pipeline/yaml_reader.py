"""YAML read by its nodes, so that every refusal names the line and no number ever passes through a float.

Scalars are taken as they are written: `0.1` is the text "0.1", `1e-8` is a number whether quoted or not, and an
account called `no` stays "no".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import date
from decimal import Context, Decimal, Inexact
from difflib import get_close_matches
from pathlib import Path

import yaml

from recon_pipeline.errors import ConfigError

_STANDARD_TAG = "tag:yaml.org,2002:"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_DAYS = date(2000, 1, 1), date(2199, 12, 31)
"""What counts days before and after one of these must not run out of the calendar."""
_WHOLE = re.compile(r"0|[1-9]\d{0,8}")
_NUMBER = re.compile(r"(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d{1,3})?")
_SHOWN_LENGTH_MAX = 32
_AMOUNT_LIMIT = Decimal(10) ** 18
_AMOUNT_UNIT = Decimal("1e-18")
_EXACT = Context(prec=60, traps=[Inexact])


class Value:
    """One node of the file: knows its line and its way down (`venues.dao.calendar`)."""

    def __init__(self, node: yaml.Node, file: Path, way: tuple[str, ...], line: int) -> None:
        self._node = node
        self._file = file
        self._way = way
        self.line = line

    def error(self, found: str, *, expected: str, next_step: str = "") -> ConfigError:
        """A ConfigError that stands at this node; the caller raises it."""
        return _refusal(self._file, self.line, found, way=".".join(self._way), expected=expected, next_step=next_step)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is written there (`openings:` with no value)."""
        return bool(self._node.tag == _STANDARD_TAG + "null")

    @property
    def is_scalar(self) -> bool:
        """Whether it is a single value, neither a mapping nor a list."""
        return isinstance(self._node, yaml.ScalarNode)

    def section(self, known: Collection[str] | None = None) -> Section:
        """A mapping; keys outside `known` are refused, and any key may stand where `known` is None.

        What stands there instead is not repeated, nor is a long key: it may be a secret in the wrong place.
        """
        if not isinstance(self._node, yaml.MappingNode):
            raise self.error(f"{self._kind()} where keys are due", expected=_keys(known) if known else "key: value")
        values: dict[str, Value] = {}
        for key_node, node in self._node.value:
            key, line = _key_text(key_node, self), key_node.start_mark.line + 1
            value = Value(node, self._file, (*self._way, key), line)
            if key in values:
                raise value.error(
                    f"the key '{key}' stands twice",
                    expected=f"each key once (the first stands in line {values[key].line})",
                )
            if known is not None and key not in known:
                at = value if len(key) <= _SHOWN_LENGTH_MAX else Value(node, self._file, self._way, line)
                raise at.error(f"unknown key {shown(key)}", expected=_keys(known), next_step=_nearest(key, known))
            values[key] = value
        return Section(self, values)

    def items(self) -> list[Value]:
        """A list, in its order."""
        if not isinstance(self._node, yaml.SequenceNode):
            raise self.error(f"{self._kind()} where a list is due", expected="a list: [a, b] or one '- a' per line")
        head, last = self._way[:-1], self._way[-1] if self._way else ""
        return [
            Value(node, self._file, (*head, f"{last}[{place}]"), node.start_mark.line + 1)
            for place, node in enumerate(self._node.value)
        ]

    def text(self, expected: str = "text") -> str:
        """A scalar as it is written; nothing, an empty text, a list and a mapping are refused."""
        if not isinstance(self._node, yaml.ScalarNode) or self.is_empty:
            raise self.error(f"{self._kind()} where a single value is due", expected=expected)
        if not self._node.tag.startswith(_STANDARD_TAG):
            raise self.error(f"the tag {self._node.tag}", expected=expected, next_step="remove the tag")
        text = str(self._node.value).strip()
        if not text:
            raise self.error("an empty text", expected=expected)
        return text

    def choice(self, allowed: Collection[str]) -> str:
        """One of the texts in `allowed`."""
        text = self.text(expected="one of " + ", ".join(allowed))
        if text not in allowed:
            expected = "one of " + ", ".join(allowed)
            raise self.error(shown(text), expected=expected, next_step=_nearest(text, allowed))
        return text

    def day(self) -> date:
        """A calendar day, YYYY-MM-DD."""
        text = self.text(expected="a day as YYYY-MM-DD")
        try:
            if not _DATE.fullmatch(text) or not _DAYS[0] <= (day := date.fromisoformat(text)) <= _DAYS[1]:
                raise ValueError
        except ValueError:
            expected = f"a day as YYYY-MM-DD, such as 2026-01-31, from {_DAYS[0]} to {_DAYS[1]}"
            raise self.error(shown(text), expected=expected) from None
        return day

    def whole(self, most: int) -> int:
        """A whole number from 0 to `most`, inclusive."""
        text = self.text(expected=f"a whole number from 0 to {most}")
        if not _WHOLE.fullmatch(text) or int(text) > most:
            raise self.error(shown(text), expected=f"a whole number from 0 to {most}")
        return int(text)

    def number(self) -> Decimal:
        """An exact number, zero or more, of at most 18 decimals and 18 digits before the point."""
        expected = 'a number, zero or more, with at most 18 decimals, such as "0.01" or "1e-8"'
        text = self.text(expected=expected)
        if not _NUMBER.fullmatch(text):
            raise self.error(shown(text), expected=expected, next_step="write it without signs and separators")
        number = Decimal(text)
        if not _fits(number):
            raise self.error(
                shown(text), expected=expected, next_step="amounts hold 18 digits on each side of the point"
            )
        return number

    def _kind(self) -> str:
        if self.is_empty:
            return "nothing"
        if isinstance(self._node, yaml.MappingNode):
            return "a mapping"
        return "a list" if isinstance(self._node, yaml.SequenceNode) else "a single value"


class Section:
    """A mapping whose keys were checked: iterates over (key, value). A known key left empty counts as left out."""

    def __init__(self, at: Value, values: dict[str, Value]) -> None:
        self.at = at
        self._values = values

    def __iter__(self) -> Iterator[tuple[str, Value]]:
        return iter(self._values.items())

    def get(self, key: str) -> Value | None:
        """The value of a key that may be left out."""
        value = self._values.get(key)
        return None if value is None or value.is_empty else value

    def named(self, key: str) -> Value | None:
        """The value of a key that may be left out, but not left blank."""
        return self._values.get(key)

    def need(self, key: str, meaning: str) -> Value:
        """The value of a key that may not be left out; `meaning` says what it is for."""
        value = self.get(key)
        if value is None:
            raise self.at.error(f"no '{key}'", expected=f"{key}: {meaning}", next_step=f"add {key}")
        return value


def shown(text: str) -> str:
    """A text in an error. A long one may be a secret in the wrong place: it is not repeated."""
    return f"'{text}'" if len(text) <= _SHOWN_LENGTH_MAX else f"a text of {len(text)} characters"


def read_yaml(path: Path) -> Value:
    """The root node of the file, which must be one YAML document in UTF-8."""

    def refuse(found: str, line: int | None = None, next_step: str = "") -> ConfigError:
        return _refusal(path, line, found, expected="one YAML document, in UTF-8", next_step=next_step)

    try:
        root = yaml.compose(path.read_bytes().decode("utf-8"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as fault:
        raise refuse(f"byte {fault.start} is not UTF-8") from None
    except OSError as fault:
        raise refuse(f"cannot be read: {fault.strerror}", next_step="recon init writes one") from None
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        raise refuse(f"not YAML: {fault.problem}", mark.line + 1 if mark else None) from None
    except yaml.YAMLError as fault:
        raise refuse(f"not YAML: {str(fault).splitlines()[0]}") from None
    except RecursionError:
        raise refuse("too many brackets within brackets") from None
    if root is None:
        raise refuse("the file is empty", next_step="recon init writes one")
    return Value(root, path, (), root.start_mark.line + 1)


def _refusal(file: Path, line: int | None, found: str, *, way: str = "", expected: str, next_step: str) -> ConfigError:
    where = str(file) + (f", line {line}" if line else "") + (f": {way}" if way else "")
    next_step = next_step or (f"correct line {line} of {file.name}" if line else f"correct {file.name}")
    return ConfigError(found, where=where, expected=expected, next_step=next_step)


def _fits(number: Decimal) -> bool:
    try:
        return number < _AMOUNT_LIMIT and number == number.quantize(_AMOUNT_UNIT, context=_EXACT)
    except Inexact:
        return False


def _key_text(node: yaml.Node, parent: Value) -> str:
    if isinstance(node, yaml.ScalarNode) and node.tag != _STANDARD_TAG + "merge" and str(node.value).strip():
        return str(node.value).strip()
    at = Value(node, parent._file, parent._way, node.start_mark.line + 1)
    raise at.error("a key that is no plain text", expected="a name, a colon and a value")


def _keys(known: Collection[str]) -> str:
    return "one of " + ", ".join(known)


def _nearest(name: str, known: Collection[str]) -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else ""
