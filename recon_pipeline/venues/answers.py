"""What an answer tells, as its stream reads it: whatever is not as the venue's page promises ends in a named error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from recon_pipeline.stores.raw import Told
from recon_pipeline.transport.endpoints import Endpoint
from recon_pipeline.transport.errors import UnexpectedAnswer
from recon_pipeline.venues.streams import Call, Content, Stream

_KEY_BYTES = 512
"""No number or name that a venue gives is longer; the index of the records holds no key of some thousands."""
_OF_ANOTHER_SHAPE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class Answer(Protocol):
    """What the transport brings back."""

    @property
    def json(self) -> Any:
        """The body, numbers exact."""

    @property
    def response_id(self) -> int | None:
        """The row of recon.raw_responses that points to the bytes."""


@contextmanager
def reading(endpoint: Endpoint, response_id: int | None) -> Iterator[None]:
    """Around the reading of an answer: UnexpectedAnswer for all that its shape makes go wrong. Asks nothing inside."""
    try:
        yield
    except UnexpectedAnswer as error:
        raise _unexpected(endpoint, response_id, error.found, error.expected) from None
    except _OF_ANOTHER_SHAPE as error:
        raise _unexpected(endpoint, response_id, _what_failed(error), "records as the venue's page has them") from None


def told_by(stream: Stream, call: Call, answer: Answer) -> tuple[Sequence[Content], list[Told]]:
    """The rows of an answer, and what each tells."""
    with reading(stream.endpoint, answer.response_id):
        rows = stream.rows(answer.json)
        return rows, [Told(_key(stream, call, row), call, row, stream.instant(row), answer.response_id) for row in rows]


def _key(stream: Stream, call: Call, row: Content) -> str:
    key = stream.key(call, row)
    if len(key.encode()) > _KEY_BYTES:
        raise UnexpectedAnswer("a record is named at great length", expected=f"at most {_KEY_BYTES} bytes")
    return key


def text_in(row: Content, name: str) -> str:
    """A field that must be text; UnexpectedAnswer if it is not."""
    value = row.get(name)
    if isinstance(value, str) and value.strip():
        return value
    raise UnexpectedAnswer(f"{name} is missing in a record, or is not text", expected=f"{name} as text")


def _unexpected(endpoint: Endpoint, response_id: int | None, found: str, expected: str) -> UnexpectedAnswer:
    return UnexpectedAnswer(found, endpoint=str(endpoint), expected=expected, response_id=response_id)


def _what_failed(error: Exception) -> str:
    """Without content: what a record holds is not for a log."""
    name = error.args[0] if isinstance(error, KeyError) and error.args else None
    if isinstance(name, str) and name.isidentifier():
        return f"{name} is missing in a record"
    return f"a record cannot be read ({type(error).__name__})"
