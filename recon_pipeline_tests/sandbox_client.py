"""A plain client of the sandbox for tests: it signs as the venue demands and knows nothing else."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any
from urllib.parse import urlencode

import httpx

from recon_pipeline.sandbox.binance.accounts import Key


def signed_query(key: Key, now_us: int, **params: object) -> str:
    query = urlencode({**params, "timestamp": now_us // 1000})
    return f"{query}&signature={hmac.new(key.secret.encode(), query.encode(), hashlib.sha256).hexdigest()}"


class Asker:
    """Asks as one account, at the sandbox's own time."""

    def __init__(self, http: httpx.Client, key: Key) -> None:
        self.http = http
        self.key = key

    def now_us(self) -> int:
        return int(self.http.get("/sandbox/clock").json()["now_us"])

    def ask(self, path: str, method: str = "GET", **params: object) -> httpx.Response:
        query = signed_query(self.key, self.now_us(), **params)
        return self.http.request(method, f"{path}?{query}", headers={"X-MBX-APIKEY": self.key.key})

    def get(self, path: str, method: str = "GET", **params: object) -> Any:
        answer = self.ask(path, method, **params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refusal(self, path: str, method: str = "GET", **params: object) -> tuple[int, int]:
        answer = self.ask(path, method, **params)
        return answer.status_code, answer.json()["code"]
