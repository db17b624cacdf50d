"""What happens to answers on the way: how each kind of trouble looks on the wire."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from recon_pipeline.sandbox.binance.gate import Asked, Gate, Told

_BUSY = b'{"code":-1008,"msg":"Server is currently overloaded with other requests. Please try again in a few minutes."}'
_UNKNOWN = b'{"code":-1000,"msg":"An unknown error occurred while processing the request."}'
_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_JSON = "application/json;charset=UTF-8"


async def befall(
    request: Request, gate: Gate, asked: Asked, *, fault: str, now_us: int, hang_s: float
) -> Response | None:
    """What comes in place of an answer; None if the answer comes after all (and is a ban)."""
    if fault == "ban":
        gate.meter.ban("/api", asked.ip, now_us)
        return None
    status = {"error_500": 500, "error_503": 503, "html": 502}.get(fault, 0)
    gate.fail(asked, now_us, fault, status)
    if fault == "html":
        return Response(_PAGE, status, media_type="text/html")
    if status:
        return Response(_BUSY if status == 503 else _UNKNOWN, status, media_type=_JSON)
    if fault == "timeout":
        await asyncio.sleep(hang_s)
    _cut_off(request)
    return Response(b"", 500)


def _cut_off(request: Request) -> None:
    """Reset the connection under the request, as a router that gave up does."""
    transport = getattr(getattr(request.receive, "__self__", None), "transport", None)
    if transport is None:
        return
    with contextlib.suppress(OSError, AttributeError):
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def spoil(told: Told, fault: str, page_before: bytes | None) -> Response:
    """An answer that was right, and is not any more."""
    if fault == "duplicated_page" and page_before is not None:
        return Response(page_before, told.status, told.headers, told.content_type)
    half = told.body[: max(1, len(told.body) * 2 // 3)]
    if fault == "malformed":
        return Response(half, told.status, told.headers, told.content_type)
    if fault == "truncated":
        headers = {**told.headers, "content-length": str(len(told.body))}
        return StreamingResponse(_once(half), told.status, headers, told.content_type)
    return Response(told.body, told.status, told.headers, told.content_type)


async def _once(part: bytes) -> AsyncIterator[bytes]:
    yield part
