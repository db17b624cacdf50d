"""The sandbox over HTTP: the venue's hosts on one port of the loopback, and its own paths under /sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qsl

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from recon_pipeline.sandbox.binance.accounts import Key
from recon_pipeline.sandbox.binance.clock import Clock, LiveClock, SimulatedClock
from recon_pipeline.sandbox.binance.gate import RACE_US, Asked, Gate
from recon_pipeline.sandbox.binance.home import environment, recon_yaml
from recon_pipeline.sandbox.binance.manifest import manifest
from recon_pipeline.sandbox.binance.mishaps import befall, spoil
from recon_pipeline.sandbox.binance.plants import Race
from recon_pipeline.sandbox.binance.statement import statement
from recon_pipeline.sandbox.binance.trouble import BEFORE, one_list
from recon_pipeline.sandbox.binance.truth import truth
from recon_pipeline.sandbox.binance.world import World

HANG_S = 20.0
ClockKind = Literal["live", "simulated"]
_REAP_S = 0.5
_NOTHING = b"[]"


class Site:
    """The application: the venue's API, and what the sandbox says of itself."""

    def __init__(self, world: World, clock: Clock) -> None:
        self.world = world
        self.clock = clock
        self.gate = Gate(world)
        self.hang_s = HANG_S
        """How long an answer that never comes is waited for, in real seconds."""
        self._pages: dict[tuple[str, str], tuple[Mapping[str, str], bytes]] = {}
        """The last answer of an endpoint to a key that told of anything, and of which list."""

    def app(self) -> Starlette:
        """What the HTTP server runs."""
        routes = [
            Route("/sandbox/clock", self.tell_clock),
            Route("/sandbox/clock/{act}", self.move_clock, methods=["POST"]),
            Route("/sandbox/log", self.tell_log),
            Route("/sandbox/truth", self.tell_truth),
            Route("/sandbox/manifest", self.tell_manifest),
            Route("/sandbox/statement", self.tell_statement),
            Route("/sandbox/revoke", self.revoke, methods=["POST"]),
            Route("/{path:path}", self.tell_venue, methods=["GET", "POST", "PUT", "DELETE"]),
        ]
        return Starlette(routes=routes, lifespan=self._living)

    @contextlib.asynccontextmanager
    async def _living(self, app: Starlette) -> AsyncIterator[None]:
        reaper = asyncio.create_task(self._reap())
        yield
        reaper.cancel()

    async def _reap(self) -> None:
        while isinstance(self.clock, SimulatedClock):
            await asyncio.sleep(_REAP_S)
            self.clock.drop_silent()

    async def tell_venue(self, request: Request) -> Response:
        """The venue's own endpoints, and whatever befalls their answers."""
        self._hear(request)
        asked = Asked(
            request.method, request.url.path, request.url.query.encode("ascii", "replace"), await request.body(),
            request.client.host if request.client else "", request.headers.get("x-mbx-apikey"),
        )  # fmt: skip
        now_us = self.clock.now_us()
        params = dict(parse_qsl((asked.query + b"&" + asked.body).decode("ascii", "replace")))
        fault = self.gate.trouble.hit(asked.path, asked.key or asked.ip, params)
        if fault is not None and fault in BEFORE:
            spoiled = await befall(request, self.gate, asked, fault=fault, now_us=now_us, hang_s=self.hang_s)
            if spoiled is not None:
                return spoiled
        race = self.gate.race(asked, now_us)
        told = self.gate.tell(asked, now_us)
        if race is not None:
            await self._run(race)
        if isinstance(self.clock, SimulatedClock):  # so that nobody has to ask for it after every answer
            told.headers["X-Sandbox-Now-Us"] = str(self.clock.now_us())
        place, of_list = (asked.path, asked.key or asked.ip), one_list(params)
        if fault is not None and told.status == 200:
            self.gate.log[-1]["fault"] = fault
            list_before, page_before = self._pages.get(place, ({}, None))
            return spoil(told, fault, page_before if list_before == of_list else None)
        if told.status == 200 and self.world.transport and _NOTHING not in told.body:
            self._pages[place] = of_list, told.body
        return Response(told.body, told.status, told.headers, told.content_type)

    async def _run(self, race: Race) -> None:
        """Money goes and comes back; the answer that was already made took that long."""
        self.gate.run_race(race, self.clock.now_us())
        if isinstance(self.clock, SimulatedClock):
            self.clock.spend(RACE_US)
        else:
            await asyncio.sleep(RACE_US / 1_000_000)

    def _hear(self, request: Request) -> None:
        worker = request.headers.get("x-sandbox-worker")
        if worker and isinstance(self.clock, SimulatedClock) and worker in self.clock.workers:
            self.clock.hear(worker)

    async def tell_clock(self, request: Request) -> Response:
        """What time it is; 404 where the machine's own clock runs."""
        self._hear(request)
        if not isinstance(self.clock, SimulatedClock):
            return JSONResponse({"detail": "the clock is live"}, 404)
        return JSONResponse({"now_us": self.clock.now_us(), "workers": self.clock.workers})

    async def move_clock(self, request: Request) -> Response:
        """Join, leave, sleep or advance."""
        clock, act = self.clock, request.path_params["act"]
        if not isinstance(clock, SimulatedClock):
            return JSONResponse({"detail": "the clock is live"}, 404)
        asked = await _given(request)
        worker = asked.get("worker")
        if act == "join":
            return JSONResponse({"worker": clock.join(), "now_us": clock.now_us()})
        if act == "leave":
            clock.leave(str(worker))
        elif act == "sleep":
            await _while_listening(request, clock.sleep(_number(asked, "until_us"), worker))
        elif act == "advance" and asked.get("force"):
            clock.force(_number(asked, "to_us"))
        elif act == "advance":
            await _while_listening(request, clock.advance(_number(asked, "to_us")))
        else:
            return JSONResponse({"detail": f"there is no {act}"}, 404)
        return JSONResponse({"now_us": clock.now_us()})

    async def tell_log(self, request: Request) -> Response:
        """The requests so far; `?from=N` leaves out the first N."""
        return JSONResponse(self.gate.log[max(_number(request.query_params, "from", 0), 0) :])

    async def tell_truth(self, request: Request) -> Response:
        """The true balances at an instant (`?at_us=`, now by default), and with `?moves=true` how they came about."""
        at_us = _number(request.query_params, "at_us", self.clock.now_us())
        return JSONResponse(truth(self.world, at_us, with_moves=request.query_params.get("moves") == "true"))

    async def tell_manifest(self, request: Request) -> Response:
        """What is wrong in this world, and every row that must say so."""
        return JSONResponse(manifest(self.world))

    async def tell_statement(self, request: Request) -> Response:
        """What a user would download from the venue's site for an account (`?email=`), so far: CSV."""
        email = request.query_params.get("email", "")
        if email not in self.world.accounts:
            known = ", ".join(self.world.accounts)
            return Response(f"?email= is to name an account: {known}\n", 400, media_type="text/plain")
        return Response(statement(self.world, email, self.clock.now_us()), media_type="text/csv")

    async def revoke(self, request: Request) -> Response:
        """Take a key away, from now on: `{"key": …}`."""
        key = (await _given(request)).get("key")
        if self.gate.doorman.owner(key if isinstance(key, str) else None) is None:
            raise HTTPException(404, 'no account of this world has such a key: {"key": …} is to name one\n')
        self.gate.doorman.revoked_us[str(key)] = self.clock.now_us()
        return JSONResponse({"now_us": self.clock.now_us()})


async def _given(request: Request) -> Mapping[str, Any]:
    """The JSON object in a request's body; nothing if there is none."""
    body = await request.body()
    try:
        given = json.loads(body) if body else {}
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise HTTPException(400, 'the body is to be a JSON object, such as {"to_us": 1767312000000000}\n')
    return given


def _number(given: Mapping[str, Any], name: str, default: int | None = None) -> int:
    """A whole number of what was given."""
    value = given.get(name, default)
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        return int(value)
    raise HTTPException(400, f"{name} is to be a whole number; instants are in microseconds since 1970\n")


async def _while_listening(request: Request, waiting: Any) -> None:
    """Wait, but no longer than the caller does: who hangs up has died, and is cancelled."""
    task = asyncio.ensure_future(waiting)
    watch = asyncio.ensure_future(_hung_up(request))
    try:
        await asyncio.wait((task, watch), return_when=asyncio.FIRST_COMPLETED)
    finally:
        watch.cancel()
        if not task.done():
            task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


@dataclass(frozen=True)
class Sandbox:
    """A sandbox that is up."""

    url: str
    world: World
    site: Site

    @property
    def credentials(self) -> Mapping[str, Key]:
        """The key of every account, by e-mail: good, unless the world was made with another."""
        return {email: self.world.key(email) for email in self.world.accounts}

    @property
    def environment(self) -> dict[str, str]:
        """The credentials as environment variables: BINANCE_MAIN_KEY, BINANCE_MAIN_SECRET, …"""
        return environment(self.world)

    @property
    def recon_yaml(self) -> str:
        """A recon.yaml that reconciles every account of the sandbox."""
        return recon_yaml(self.world, self.url)

    def key(self, email: str, kind: str) -> Key:
        """A key that is wrong in some way: revoked, wrong_ip, no_reading, trading, withdrawing."""
        return self.world.accounts[email].keys[kind]

    @property
    def log(self) -> list[Any]:
        """The requests so far, as /sandbox/log tells them."""
        return list(self.site.gate.log)

    def now_us(self) -> int:
        """The sandbox's time."""
        return self.site.clock.now_us()


def make_clock(world: World, kind: ClockKind, at_us: int | None = None) -> Clock:
    """The clock of a sandbox; a simulated one begins with the world's first day, unless told otherwise."""
    if kind == "live":
        return LiveClock()
    return SimulatedClock(world.first_ms * 1000 if at_us is None else at_us)


@contextlib.contextmanager
def serve(
    world: World,
    *,
    clock: ClockKind = "simulated",
    at_us: int | None = None,
    port: int = 0,
    hang_s: float = HANG_S,
) -> Iterator[Sandbox]:
    """A sandbox on the loopback, in a thread of its own, until the block ends."""
    listener = socket.create_server(("127.0.0.1", port), backlog=512)
    site = Site(world, make_clock(world, clock, at_us))
    site.hang_s = hang_s
    server = make_server(site)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="sandbox", daemon=True)
    thread.start()
    try:
        yield Sandbox(f"http://127.0.0.1:{listener.getsockname()[1]}", world, site)
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


def make_server(site: Site) -> uvicorn.Server:
    """The HTTP server of a site, quiet."""
    config = uvicorn.Config(
        site.app(), log_level="critical", access_log=False, lifespan="on", timeout_keep_alive=600,
        server_header=False, timeout_graceful_shutdown=1,
    )  # fmt: skip
    return uvicorn.Server(config)
