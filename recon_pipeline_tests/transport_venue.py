"""A venue behind real HTTP whose every answer is scripted, and a client of it."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from recon_pipeline.transport.archive import AnswerArchive
from recon_pipeline.transport.budgets import Budgets
from recon_pipeline.transport.client import Client, Patience
from recon_pipeline.transport.clock import Clock, SharedClock
from recon_pipeline.transport.credentials import Credentials
from recon_pipeline.transport.endpoints import Bucket, Endpoint, ReadList
from recon_pipeline.transport.secret import Secret
from recon_pipeline.transport.wire import Timeouts
from recon_pipeline.venues.binance.dialect import BinanceDialect
from recon_pipeline.venues.binance.endpoints import API, TIME
from recon_pipeline_tests.clock_server import clock_server, serving

KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
MAIN = Credentials("main@example.com", Secret(KEY), Secret(SECRET))

TRADES = Endpoint("GET", "/api/v3/myTrades", "api", 20, API)
SNAPSHOT_BUCKET = Bucket("/sapi/v1/accountSnapshot", 12000, "ip", is_shared_with_live=True)
SNAPSHOT = Endpoint("GET", "/sapi/v1/accountSnapshot", "api", 2400, SNAPSHOT_BUCKET)
FUNDING = Endpoint(
    "POST", "/sapi/v1/asset/get-funding-asset", "api", 1, Bucket("/sapi/v1/asset/get-funding-asset", 12000, "ip")
)
INCOME = Endpoint("GET", "/fapi/v1/income", "fapi", 30, Bucket("/fapi", 2400, "ip"), opened="told")
EXCHANGE_INFO = Endpoint("GET", "/api/v3/exchangeInfo", "api", 20, API, "none")
READ_LIST = ReadList("binance", (TRADES, SNAPSHOT, FUNDING, INCOME, EXCHANGE_INFO, TIME))


@dataclass
class Reply:
    """What the venue does with a request: answers, or cuts the connection after so many bytes."""

    status: int = 200
    body: bytes = b"[]"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    delay_seconds: float = 0.0
    drip_seconds: float = 0.0
    """Between two bytes of the body."""


def told(content: Any, status: int = 200, **headers: str) -> Reply:
    return Reply(status, json.dumps(content).encode(), {name.replace("_", "-"): text for name, text in headers.items()})


@dataclass(frozen=True)
class Request:
    """A request as its bytes came in."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def payload(self) -> str:
        return (self.target.partition("?")[2].encode() + self.body).decode()

    @property
    def is_signed_rightly(self) -> bool:
        signed, _, signature = self.payload.rpartition("&signature=")
        return hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).hexdigest() == signature


Script = Callable[[Request], Reply]


class ScriptedVenue:
    """Answers each request with the next reply that was planned, then with the standing one."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.planned: deque[Reply | Script] = deque()
        self.standing: Reply | Script = Reply()
        self.now_ms: Callable[[], int] | None = None
        self._lock = threading.Lock()
        self.url = ""

    def plan(self, *replies: Reply | Script) -> None:
        self.planned.extend(replies)

    def answer(self, request: Request) -> Reply:
        if request.path == TIME.path and self.now_ms:
            return told({"serverTime": self.now_ms()})
        with self._lock:
            self.requests.append(request)
            chosen = self.planned.popleft() if self.planned else self.standing
        return chosen if isinstance(chosen, Reply) else chosen(request)


@contextmanager
def scripted_venue() -> Iterator[ScriptedVenue]:
    venue = ScriptedVenue()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Request(self.command, self.path, dict(self.headers.items()), body)
            reply = venue.answer(request)
            threading.Event().wait(reply.delay_seconds)
            self.send_response(reply.status)
            for name, text in reply.headers.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if reply.drip_seconds:
                for byte in reply.body:
                    with suppress(OSError):
                        self.wfile.write(bytes([byte]))
                        self.wfile.flush()
                    threading.Event().wait(reply.drip_seconds)
                return
            self.wfile.write(reply.body[: reply.cut_after])
            if reply.cut_after is not None:
                self.wfile.flush()
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with serving(Handler) as url:
        venue.url = url
        yield venue


@contextmanager
def client_of(
    venue: ScriptedVenue, database: str, folder: Path, clock: Clock, **options: Any
) -> Iterator[tuple[Client, AnswerArchive]]:
    """A client of the scripted venue, by Binance's dialect; it reads `endpoints`, and by default those of here."""
    read_list = ReadList("binance", endpoints) if (endpoints := options.pop("endpoints", None)) else READ_LIST
    budgets = Budgets(database, clock, **options.pop("budgets", {}))
    archive = AnswerArchive(folder / "answers", database)
    options = {"timeouts": Timeouts(2, 2, 5), "patience": Patience(), **options}
    bases = {"api": venue.url, "fapi": venue.url}
    with Client(
        "binance", bases, read_list, BinanceDialect(), budgets=budgets, archive=archive, clock=clock, **options
    ) as client:
        yield client, archive
    budgets.close()
    archive.close()


@contextmanager
def asked_alone(endpoint: Endpoint, database: str, folder: Path) -> Iterator[tuple[ScriptedVenue, Client]]:
    """A scripted venue, and a client that reads one endpoint of it, by a simulated clock."""
    with (
        clock_server() as (url, _),
        scripted_venue() as venue,
        closing(SharedClock(url)) as clock,
        client_of(venue, database, folder, clock, endpoints=[endpoint]) as (client, _),
    ):
        yield venue, client
