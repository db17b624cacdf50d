"""A simulated clock behind real HTTP, as the sandbox's page describes it, for tests that need no venue."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any


class SimulatedTime:
    """Stands still while a worker is awake; when all sleep it jumps to the earliest deadline."""

    def __init__(self, now_us: int) -> None:
        self.now_us = now_us
        self.awake: set[str] = set()
        self.deadlines: dict[int, tuple[str | None, int]] = {}
        self.heard: dict[str, float] = {}
        self.moved = threading.Condition()
        self.sleeps = 0
        self._numbers = count(1)

    def join(self) -> str:
        with self.moved:
            worker = f"w{next(self._numbers)}"
            self.awake.add(worker)
            self.heard[worker] = time.monotonic()
            return worker

    def leave(self, worker: str) -> None:
        with self.moved:
            self.awake.discard(worker)
            self.heard.pop(worker, None)
            self._jump()

    def sleep(self, worker: str | None, until_us: int) -> int | None:
        with self.moved:
            if worker is not None and worker not in self.heard:
                return None
            if worker is not None:
                self.heard[worker] = time.monotonic()
            if until_us <= self.now_us:
                return self.now_us
            number = next(self._numbers)
            self.sleeps += 1
            self.deadlines[number] = (worker, until_us)
            if worker is not None:
                self.awake.discard(worker)
            self._jump()
            while self.now_us < until_us:
                self.moved.wait()
            return self.now_us

    def _jump(self) -> None:
        known = [until for worker, until in self.deadlines.values() if worker is not None]
        if self.awake or not (known or not self.heard) or not self.deadlines:
            return
        self.now_us = max(self.now_us, min(known or [until for _, until in self.deadlines.values()]))
        for number, (worker, until) in list(self.deadlines.items()):
            if until <= self.now_us:
                del self.deadlines[number]
                if worker in self.heard:
                    self.awake.add(worker)
        self.moved.notify_all()


@contextmanager
def clock_server(now_us: int = 1_767_225_600_000_000) -> Iterator[tuple[str, SimulatedTime]]:
    """A server of simulated time: its URL and the time itself."""
    simulated = SimulatedTime(now_us)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._answer(200, {"now_us": simulated.now_us})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = self.path.rsplit("/", 1)[1]
            if name == "join":
                self._answer(200, {"worker": simulated.join()})
            elif name == "leave":
                simulated.leave(body["worker"])
                self._answer(200, {})
            else:
                slept = simulated.sleep(body["worker"], body["until_us"])
                self._answer(404 if slept is None else 200, {"now_us": slept})

        def _answer(self, status: int, content: dict[str, Any]) -> None:
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with serving(Handler) as url:
        yield url, simulated


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """A loopback HTTP server; its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
