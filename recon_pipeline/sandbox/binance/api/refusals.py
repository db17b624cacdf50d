"""What the venue answers when it refuses: its codes, words and HTTP statuses. Facts sheet §2, §3."""

from __future__ import annotations


class Refusal(Exception):  # noqa: N818 - the name says what it is
    """An answer other than the one that was asked for."""

    def __init__(self, code: int, message: str, status: int = 400, retry_after_s: int | None = None) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message
        self.status = status
        self.retry_after_s = retry_after_s


def missing(name: str) -> Refusal:
    """A parameter without which nothing can be answered."""
    return Refusal(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def malformed(name: str, pattern: str) -> Refusal:
    """A parameter whose characters cannot be meant."""
    return Refusal(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{pattern}'.")


def too_large(name: str, most: int) -> Refusal:
    """A number beyond what the endpoint takes."""
    return Refusal(-1102, f"'{name}' contains unexpected value. Cannot be greater than {most}.")


def bad_combination() -> Refusal:
    """Parameters that cannot stand together."""
    return Refusal(-1128, "Combination of optional parameters invalid.")


def bad_symbol() -> Refusal:
    """A symbol that is not (or no longer) listed."""
    return Refusal(-1121, "Invalid symbol.")


def more_than_hours(hours: int) -> Refusal:
    """A window wider than the endpoint allows."""
    return Refusal(-1127, f"More than {hours} hours between startTime and endTime.")


def rejected_key() -> Refusal:
    """A key that is not good here: revoked, used from elsewhere, or without the permission."""
    return Refusal(-2015, "Invalid API-key, IP, or permissions for action.", 401)


def main_only() -> Refusal:
    """A question that only the main account may ask."""
    return Refusal(-4006, "Support main account only.")


def sub_only(path: str) -> Refusal:
    """A question that only a sub-account may ask."""
    if "/sub-account/" in path:
        return Refusal(-12022, "This endpoint is allowed to request from sub account only")
    return Refusal(-4003, "Support sub-account only.")


def overweight(limit: int, retry_after_s: int) -> Refusal:
    """Too much weight within the minute."""
    text = f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE."
    return Refusal(-1003, text, 429, retry_after_s)


def banned(until_ms: int, retry_after_s: int) -> Refusal:
    """The address is banned for a while."""
    return Refusal(-1003, f"Way too much request weight used; IP banned until {until_ms}.", 418, retry_after_s)
