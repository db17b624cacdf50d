"""What venues told over HTTP, in PostgreSQL: records as versions, and the ledger of the days that were read.

The records of a span and the ledger's days for it are stored in one transaction, so that a day is never marked as read
while a record of it is missing; done twice it is done once.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import sqlalchemy as sa

from recon_pipeline.frames.schema import COVERAGE_READ
from recon_pipeline.stores.canonical import canonical_json, digest_of_json
from recon_pipeline.stores.database import named_errors, pooled_engine

Contents: TypeAlias = Mapping[str, Mapping[str, Any]]
"""What records tell, by their key."""
AT_ONCE = 20_000
"""Records that one query tells or stores: more of them at a time gain nothing, a transaction must not idle for long,
and PostgreSQL takes no JSON of more than 256 MiB."""


@dataclass(frozen=True)
class Told:
    """A record as one answer told it."""

    key: str
    call: Mapping[str, str]
    content: Mapping[str, Any]
    instant: datetime | None
    response_id: int | None
    response_ids: tuple[int, ...] = ()
    """Every response that told it, where it was not one alone."""

    @cached_property
    def call_json(self) -> str:
        """The call as canonical JSON."""
        return canonical_json(self.call)

    @cached_property
    def content_json(self) -> str:
        """The content as canonical JSON."""
        return canonical_json(self.content)

    @cached_property
    def digest(self) -> str:
        """sha256 over call and content."""
        return hashlib.sha256(f"{self.call_json}\n{self.content_json}".encode()).hexdigest()


@dataclass(frozen=True)
class DayRead:
    """How a UTC day of a stream was read."""

    status: str
    pages: int = 0
    records: int = 0
    error: str | None = None
    message: str | None = None
    calls: str | None = None
    """Digest of the parameter sets that read it, where another set of them would have to read it again."""


@dataclass(frozen=True)
class Part:
    """What one of several streams told that are one read."""

    stream: str
    told: Sequence[Told]
    days: Mapping[date, DayRead]


@dataclass(frozen=True)
class Whole:
    """That a read told all that there is: of these calls, on its days that are complete or final.

    `is_due` says of a record that was told before whether it would have to be told again; `tell` hears of the keys of
    those that were not, before anything is stored: who is killed in between tells it again.
    """

    calls: Sequence[Mapping[str, str]]
    is_due: Callable[[Mapping[str, Any]], bool]
    tell: Callable[[Sequence[str]], None] = lambda _: None


@dataclass(frozen=True)
class Kept:
    """What a read changed, by the keys of records: those that are told for the first time, those that the venue has
    changed since, and those that it does not tell of any more."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def new(self) -> int:
        """How many are told for the first time."""
        return len(self.added)


@dataclass(frozen=True)
class SymbolAsked:
    """Over which time a market was asked, and when: an earlier asking is widened by it, as long as the two leave no
    gap. One that was asked in vain adds no time to it."""

    symbol: str
    asked_at: datetime
    asked_from: datetime
    asked_through: datetime
    last_id: int | None = None
    """The last trade after which the asking may go on by id."""
    last_trade_at: datetime | None = None
    purged_after: datetime | None = None
    has_left: bool = False
    """Whether it left the list meanwhile: an id of before says no more where to go on."""


class Stored(NamedTuple):
    """A record that counts. Numbers of its content are Decimal or int; nobody may change it, many share it."""

    fid: int
    account: str
    stream: str
    key: str
    call: Mapping[str, str]
    content: Mapping[str, Any]
    digest: str
    is_doubted: bool
    read_at: datetime
    instant: datetime | None
    version: int
    others: Sequence[Mapping[str, Any]] = ()
    """What else the read told of it, if it is doubted."""


class RawStore:
    """The raw records and the ledger of one venue. Thread-safe: each call takes a connection of its own."""

    def __init__(self, url: str, venue: str) -> None:
        self._url = url
        self._venue = venue
        self._engine = pooled_engine(url)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def keep(
        self,
        account: str,
        stream: str,
        told: Sequence[Told],
        days: Mapping[date, DayRead],
        read_at: datetime,
        *,
        covers: Sequence[str] = (),
        whole: Whole | None = None,
        tell_changed: Callable[[Contents], None] | None = None,
    ) -> Kept:
        """Store what a drained span told, and mark its days as read: for the account, or for those that it `covers`.
        Where it was `whole`, what was told before and is not any more counts no longer; no day becomes final by a read
        that misses something, for it may be the read that is wrong. `tell_changed` hears what the records that are told
        in another way now told before, by their key, while nothing is stored yet."""
        versions = _one_version_each(account, stream, told)
        with self._alone(account, [stream]) as opened:
            kept = self._keep_records(opened, account, stream, versions, read_at)
            if tell_changed is not None and (before := self._before(opened, account, stream, kept.changed)):
                tell_changed(before)
            if whole is not None:
                read = [day for day, of_day in days.items() if of_day.status in COVERAGE_READ]
                place = {"venue": self._venue, "account": account, "stream": stream, "read_at": read_at}
                kept = replace(kept, gone=self._retire(opened, place, whole, read, {each.key for each in told}))
            if whole is not None and kept.gone:
                whole.tell(kept.gone)
                days = {day: replace(r, status="complete") if r.status == "final" else r for day, r in days.items()}
            for each in covers or (account,):
                self._mark(opened, each, stream, days, read_at)
            return kept

    def not_told(
        self, account: str, stream: str, whole: Whole, days: Collection[date], told: Collection[str]
    ) -> frozenset[str]:
        """The keys of what was told before and would have to be among what is told now, and is not."""
        with self._transaction(f"comparing {stream} of {account} with what was told before") as opened:
            place = {"venue": self._venue, "account": account, "stream": stream}
            return frozenset(self._missing(opened, place, whole, days, told).values())

    def differing(self, account: str, stream: str, told: Sequence[Told]) -> frozenset[str]:
        """The keys of what was told before in another way."""
        versions = _one_version_each(account, stream, told)
        asked = {"venue": self._venue, "account": account, "stream": stream, "keys": list(versions)}
        with self._transaction(f"comparing {stream} of {account} with what was told before") as opened:
            stand = opened.execute(sa.text(_STANDING), asked).all()
        return frozenset(row.record_key for row in stand if row.digest != versions[row.record_key].digest)

    def told_now(self, account: str, stream: str, keys: Collection[str]) -> dict[str, Any]:
        """The contents of those records that stand, by key."""
        asked = {"venue": self._venue, "account": account, "stream": stream, "keys": sorted(set(keys))}
        with self._transaction(f"comparing {stream} of {account} with what was told before") as opened:
            stand = opened.execute(sa.text(_STANDING), asked).all()
            contents = self._contents(opened, stand)
        return {row.record_key: contents[row.fid] for row in stand}

    def standing_at(self, account: str, stream: str, told: Sequence[Told]) -> frozenset[str]:
        """The keys of those that stand at the instant at which they are told, in whatever words."""
        if not told:
            return frozenset()
        instants = {(each.key, each.instant) for each in told}
        keys = sorted({each.key for each in told})
        asked = {"venue": self._venue, "account": account, "stream": stream, "keys": keys}
        with self._transaction(f"comparing {stream} of {account} with what was told before") as opened:
            stand = opened.execute(sa.text(_STANDING), asked).all()
        return frozenset(row.record_key for row in stand if (row.record_key, row.instant) in instants)

    def keep_together(
        self,
        account: str,
        parts: Sequence[Part],
        read_at: datetime,
        *,
        unless: Callable[[Sequence[Stored]], bool] = lambda _: False,
        since: datetime | None = None,
    ) -> None:
        """Store what several streams told at one moment, all of it or nothing; nothing if `unless` says so of the
        records of these streams that count and whose instant is not before `since`, once nobody else stores any. It
        asks for nothing itself: of many who wait here for each other none may wait for another connection."""
        versions = [_one_version_each(account, part.stream, part.told) for part in parts]
        streams = [part.stream for part in parts]
        with self._alone(account, streams) as opened:
            asked = {"venue": self._venue, "account": account, "streams": streams, "since": since}
            if unless(self._stored(opened, opened.execute(sa.text(_COUNTING), asked).all())):
                return
            for part, of_part in zip(parts, versions, strict=True):
                self._keep_records(opened, account, part.stream, of_part, read_at)
                self._mark(opened, account, part.stream, part.days, read_at)

    def keep_symbols(
        self,
        account: str,
        stream: str,
        symbols: Sequence[SymbolAsked],
        told: Sequence[Told],
        *,
        gone: Collection[str] = (),
        tell_changed: Callable[[Contents], None] | None = None,
        tell_gone: Callable[[Sequence[str]], None] = lambda _: None,
    ) -> Kept:
        """Store what markets told of an account, and over which time they were asked, together; the records with the
        keys of `gone` count no longer. No market may be among them twice. `tell_changed` is that of `keep`, and
        `tell_gone` hears of `gone` before anything is stored."""
        if not symbols:
            return Kept()
        versions = _one_version_each(account, stream, told)
        with self._alone(account, [stream]) as opened:
            kept = self._keep_records(opened, account, stream, versions, max(symbol.asked_at for symbol in symbols))
            if tell_changed is not None and (before := self._before(opened, account, stream, kept.changed)):
                tell_changed(before)
            if gone:
                tell_gone(sorted(gone))
                place = {"venue": self._venue, "account": account, "stream": stream, "keys": list(gone)}
                opened.execute(sa.text(_SUPERSEDE), {**place, "read_at": max(symbol.asked_at for symbol in symbols)})
            trades = Counter(versions[key].record.call.get("symbol") for key in kept.added)
            told_of = [vars(symbol) | {"trades": trades[symbol.symbol]} for symbol in symbols]
            rows = json.dumps(told_of, default=datetime.isoformat)
            if left := [symbol.symbol for symbol in symbols if symbol.has_left]:
                place = {"venue": self._venue, "account": account, "stream": stream, "symbols": left}
                opened.execute(sa.text(_FORGET_ID), place)
            opened.execute(sa.text(_ASKED), {"venue": self._venue, "account": account, "stream": stream, "rows": rows})
            return replace(kept, gone=tuple(sorted(gone)))

    def asked_symbols(self, stream: str) -> list[sa.Row[Any]]:
        """Every market that was asked: account, symbol, asked_from, asked_through, last_id, trades, last_trade_at,
        purged_after, last_checked."""
        with self._transaction(f"reading which markets were asked for {stream}") as opened:
            query = sa.text(
                "SELECT account, symbol, asked_from, asked_through, last_id, trades, last_trade_at, purged_after,"
                " last_checked FROM recon.asked_symbols WHERE venue = :venue AND stream = :stream"
                " ORDER BY account, symbol"
            )
            return list(opened.execute(query, {"venue": self._venue, "stream": stream}).all())

    def rotated(self) -> dict[str, date]:
        """The day of the last rotation of each account's markets."""
        with self._transaction("reading which markets had their turn") as opened:
            query = sa.text("SELECT account, rotated_on FROM recon.rotations WHERE venue = :venue")
            return {row.account: row.rotated_on for row in opened.execute(query, {"venue": self._venue})}

    def note_rotation(self, account: str, day: date) -> None:
        """Note that a run of that day has asked the part of an account's markets that were due."""
        with self._transaction("recording which markets had their turn") as opened:
            query = sa.text(
                "INSERT INTO recon.rotations AS r (venue, account, rotated_on) VALUES (:venue, :account, :day)"
                " ON CONFLICT (venue, account) DO UPDATE SET rotated_on = greatest(r.rotated_on, excluded.rotated_on)"
            )
            opened.execute(query, {"venue": self._venue, "account": account, "day": day})

    def ask_again(self, places: Mapping[tuple[str, str, str], datetime | None]) -> None:
        """Let these markets, by account, stream and symbol, be asked again by time from an instant on, or if it is None
        from where they were asked first; of one that has left nothing more can be had."""
        rows = [
            {"account": account, "stream": stream, "symbol": symbol, "begin": begin and begin.isoformat()}
            for (account, stream, symbol), begin in sorted(places.items())
        ]
        if rows:
            with self._transaction("letting markets be asked again") as opened:
                opened.execute(sa.text(_ASK_AGAIN), {"venue": self._venue, "rows": canonical_json(rows)})

    def mark(
        self,
        account: str,
        stream: str,
        days: Mapping[date, DayRead],
        read_at: datetime,
        *,
        is_judgement: bool = False,
    ) -> None:
        """Mark days without storing anything: they failed, or the stream does not apply. A judgement over what was read
        also takes the place of an earlier one by which a day was complete."""
        with self._transaction(f"recording what was read of {stream}") as opened:
            self._mark(opened, account, stream, days, read_at, is_judgement=is_judgement)

    def reopen(self, places: Mapping[tuple[str, str, date], bool]) -> None:
        """Let these days, by account and stream, be asked again, for something that they told cannot be believed: final
        ones are complete only, and those of which it is all that was told (true) are partial."""
        rows = [
            {"account": account, "stream": stream, "date": str(day), "is_all": is_all}
            for (account, stream, day), is_all in sorted(places.items())
        ]
        if rows:
            with self._transaction("reopening days") as opened:
                opened.execute(sa.text(_REOPEN), {"venue": self._venue, "rows": canonical_json(rows)})

    def never_read(self, known: Collection[str]) -> list[str]:
        """The accounts that are not known, and of which nothing but failures was ever marked and nothing was told."""
        with self._transaction("looking for accounts of which nothing was read") as opened:
            given = {"venue": self._venue, "known": ["", *known]}
            return list(opened.execute(sa.text(_NEVER_READ), given).scalars())

    def forget_failures(self, accounts: Collection[str]) -> None:
        """Take the marks out that say of these accounts that something failed."""
        with self._transaction("forgetting accounts of which nothing was read") as opened:
            given = {"venue": self._venue, "accounts": list(accounts)}
            query = "DELETE FROM recon.pulls WHERE venue = :venue AND account = ANY(:accounts) AND status = 'failed'"
            opened.execute(sa.text(query), given)

    def ledger(
        self, first: date | None = None, last: date | None = None, streams: Sequence[str] | None = None
    ) -> list[sa.Row[Any]]:
        """The ledger's rows from first to last, of all streams or of some: account, stream, date, status, read_at,
        records, error, message, calls, asked_in_vain, asked_in_vain_at."""
        with self._transaction("reading the coverage ledger") as opened:
            return list(
                opened.execute(
                    sa.text(
                        "SELECT account, stream, date, status, read_at, records, error, message, calls, asked_in_vain,"
                        " asked_in_vain_at FROM recon.pulls WHERE venue = :venue"
                        " AND date BETWEEN coalesce(:first, '-infinity'::date)"
                        " AND coalesce(:last, 'infinity'::date)"
                        " AND (CAST(:streams AS text[]) IS NULL OR stream = ANY(:streams))"
                        " ORDER BY account, stream, date"
                    ),
                    {"venue": self._venue, "first": first, "last": last, "streams": streams and list(streams)},
                ).all()
            )

    def standing(self, streams: Sequence[str] | None = None, *, since: datetime | None = None) -> dict[int, bool]:
        """The fids of the records that count, of all streams or of some, ordered by stream, account and key, and
        whether each is doubted; or of those whose instant is not before `since`."""
        query = sa.text(
            "SELECT fid, is_doubted FROM recon.raw_records WHERE venue = :venue AND superseded_at IS NULL"
            " AND (CAST(:streams AS text[]) IS NULL OR stream = ANY(:streams))"
            " AND (CAST(:since AS timestamptz) IS NULL OR instant >= :since)"
            " ORDER BY stream, account, record_key"
        )
        given = {"venue": self._venue, "streams": None if streams is None else list(streams), "since": since}
        with self._transaction("reading which raw records count") as opened:
            return {row.fid: row.is_doubted for row in opened.execute(query, given)}

    def records(self, streams: Sequence[str] | None = None, *, since: datetime | None = None) -> list[Stored]:
        """The records of `standing`, all at once."""
        return [row for batch in self.batches(list(self.standing(streams, since=since))) for row in batch]

    def history(self, stream: str) -> list[Stored]:
        """Every version of a stream's records, those included that count no more, in the order in which they were
        read."""
        query = sa.text("SELECT fid FROM recon.raw_records WHERE venue = :venue AND stream = :stream ORDER BY fid")
        with self._transaction(f"reading {stream}") as opened:
            fids = opened.scalars(query, {"venue": self._venue, "stream": stream}).all()
        return [row for batch in self.batches(fids) for row in batch]

    def batches(self, fids: Sequence[int], size: int = AT_ONCE) -> Iterator[list[Stored]]:
        """These records in their order, so many at a time: all of them may not fit into memory as objects."""
        query = sa.text(
            "SELECT fid, account, stream, record_key, call, digest, is_doubted, read_at, instant, version"
            " FROM unnest(CAST(:fids AS bigint[])) WITH ORDINALITY AS asked(fid, place)"
            " JOIN recon.raw_records USING (fid) WHERE venue = :venue ORDER BY place"
        )
        for begin in range(0, len(fids), size):
            given = {"venue": self._venue, "fids": list(fids[begin : begin + size])}
            with self._transaction("reading raw records") as opened:
                batch = self._stored(opened, opened.execute(query, given).all())
            yield batch

    def before(self, fids: Sequence[int]) -> dict[int, list[Stored]]:
        """How these records were told before, oldest first; nothing of what one read told in two ways."""
        query = sa.text(
            "SELECT told.fid AS of_fid, b.fid FROM unnest(CAST(:fids AS bigint[])) AS asked(fid)"
            " JOIN recon.raw_records AS told USING (fid) JOIN recon.raw_records AS b"
            " USING (venue, account, stream, record_key)"
            " WHERE venue = :venue AND b.version < told.version AND NOT b.is_doubted ORDER BY b.version"
        )
        with self._transaction("reading what was told before") as opened:
            found = opened.execute(query, {"venue": self._venue, "fids": list(fids)}).all()
        stored = {row.fid: row for batch in self.batches([row.fid for row in found]) for row in batch}
        before: dict[int, list[Stored]] = {}
        for row in found:
            before.setdefault(row.of_fid, []).append(stored[row.fid])
        return before

    @classmethod
    def _stored(cls, opened: sa.Connection, rows: Sequence[sa.Row[Any]]) -> list[Stored]:
        contents = cls._contents(opened, rows)
        doubted = [row.fid for row in rows if row.is_doubted]
        query = sa.text("SELECT fid, others::text FROM recon.raw_records WHERE fid = ANY(:fids) AND others IS NOT NULL")
        told = opened.execute(query, {"fids": doubted}).all() if doubted else ()
        others = {fid: tuple(exact(text)) for fid, text in told}
        return [
            Stored(
                row.fid,
                row.account,
                row.stream,
                row.record_key,
                row.call,
                contents[row.fid],
                row.digest,
                row.is_doubted,
                row.read_at,
                row.instant,
                row.version,
                others.get(row.fid, ()),
            )
            for row in rows
        ]

    @staticmethod
    def _contents(opened: sa.Connection, rows: Sequence[sa.Row[Any]]) -> dict[int, Any]:
        """The contents of rows by their fid; what this process has read before is not read again."""
        known = {row.fid: _PARSED.get(row.digest) for row in rows}
        missing = {row.fid: row.digest for row in rows if known[row.fid] is None}
        if len(_PARSED) + len(missing) > _PARSED_MAX:
            _PARSED.clear()
        if missing:
            query = sa.text("SELECT fid, content::text FROM recon.raw_records WHERE fid = ANY(:fids)")
            for fid, text in opened.execute(query, {"fids": list(missing)}).all():
                known[fid] = content = exact(text)
                _PARSED[missing[fid]] = content
        return known

    def fields(self, stream: str, *names: str) -> dict[str, tuple[str | None, ...]]:
        """Some fields of every record of a stream that counts, by its key: for records too large to read whole."""
        chosen = ", ".join(f"content ->> :field{number}" for number in range(len(names)))
        given = {f"field{number}": name for number, name in enumerate(names)}
        with self._transaction(f"reading {stream}") as opened:
            rows = opened.execute(
                sa.text(
                    f"SELECT record_key, {chosen} FROM recon.raw_records"
                    " WHERE venue = :venue AND stream = :stream AND superseded_at IS NULL"
                ),
                {"venue": self._venue, "stream": stream, **given},
            )
            return {row[0]: tuple(row[1:]) for row in rows}

    def symbols_named(self, account: str, streams: Sequence[str]) -> list[tuple[str, str]]:
        """The markets that the records of these streams name, each as (stream, symbol)."""
        with self._transaction("reading which markets are named") as opened:
            rows = opened.execute(
                sa.text(
                    "SELECT DISTINCT stream, content ->> 'symbol' AS symbol FROM recon.raw_records"
                    " WHERE venue = :venue AND account = :account AND stream = ANY(:streams)"
                    " AND coalesce(content ->> 'symbol', '') <> '' ORDER BY 1, 2"
                ),
                {"venue": self._venue, "account": account, "streams": list(streams)},
            )
            return [(row.stream, row.symbol) for row in rows]

    def has_told(self, account: str, stream: str, subject: str | None = None) -> bool:
        """Whether a stream ever told of anything of an account, or of the sub-account that its calls name; a capture
        without rows tells of nothing."""
        with self._transaction(f"reading {stream} of {account}") as opened:
            found = opened.scalar(
                sa.text(
                    "SELECT EXISTS (SELECT FROM recon.raw_records WHERE venue = :venue AND account = :account"
                    " AND stream = :stream AND content -> 'rows' IS DISTINCT FROM '[]'::jsonb"
                    " AND (CAST(:subject AS text) IS NULL OR call ->> 'email' = :subject))"
                ),
                {"venue": self._venue, "account": account, "stream": stream, "subject": subject},
            )
            return bool(found)

    def told_until(self, account: str, stream: str) -> date | None:
        """The last UTC day of which a stream ever told anything of an account; of a record without an instant, that on
        which it was read. None if it told nothing."""
        with self._transaction(f"reading {stream} of {account}") as opened:
            last = opened.scalar(
                sa.text(
                    "SELECT max(coalesce(instant, read_at)) FROM recon.raw_records"
                    " WHERE venue = :venue AND account = :account AND stream = :stream"
                ),
                {"venue": self._venue, "account": account, "stream": stream},
            )
            return None if last is None else last.astimezone(UTC).date()

    def versions(self, stream: str, name: str) -> list[sa.Row[Any]]:
        """One field of every version of a stream's records, as JSON, in the order in which they were read."""
        with self._transaction(f"reading {stream}") as opened:
            return list(
                opened.execute(
                    sa.text(
                        "SELECT CAST(content -> :name AS text) AS told, read_at FROM recon.raw_records"
                        " WHERE venue = :venue AND stream = :stream ORDER BY fid"
                    ),
                    {"venue": self._venue, "stream": stream, "name": name},
                )
            )

    def decisions(self) -> dict[str, str]:
        """The wallets that were decided for records that state none, by the record's digest."""
        return {digest: wallet for digest, (wallet, _) in self.evidence().items()}

    def evidence(self) -> dict[str, tuple[str, Mapping[str, Any]]]:
        """The same, each with what it rests on."""
        with self._transaction("reading decisions") as opened:
            rows = opened.execute(
                sa.text(
                    "SELECT DISTINCT ON (record_digest) record_digest, wallet, evidence FROM recon.wallet_decisions"
                    " WHERE venue = :venue ORDER BY record_digest, version DESC"
                ),
                {"venue": self._venue},
            )
            return {row.record_digest: (row.wallet, row.evidence) for row in rows if row.wallet is not None}

    def decide(self, record_digest: str, wallet: str | None, evidence: Mapping[str, Any]) -> None:
        """Decide in which wallet a record counts, or (None) withdraw that; a version more if it was decided before."""
        with self._transaction("storing a decision") as opened:
            opened.execute(
                sa.text(
                    "INSERT INTO recon.wallet_decisions (venue, record_digest, version, wallet, evidence)"
                    " SELECT :venue, :digest, 1 + coalesce(max(version), 0), :wallet, CAST(:evidence AS jsonb)"
                    " FROM recon.wallet_decisions WHERE venue = :venue AND record_digest = :digest"
                ),
                {
                    "venue": self._venue,
                    "digest": record_digest,
                    "wallet": wallet,
                    "evidence": canonical_json(evidence),
                },
            )

    def note_assumed(self, wallets: Mapping[str, tuple[str, Sequence[str]]]) -> None:
        """Note of every record that states no wallet, by its digest, the usual one and the external ids of its rows
        whose wallet is known all the same; no other record is noted any more."""
        rows = [
            {"raw_id": raw_id, "usual_wallet": wallet, "fixed": list(fixed)}
            for raw_id, (wallet, fixed) in sorted(wallets.items())
        ]
        with self._transaction("noting which wallets are assumed") as opened:
            for statement in _ASSUMED:
                opened.execute(sa.text(statement), {"venue": self._venue, "rows": canonical_json(rows)})

    def version(self) -> str:
        """Another text whenever anything that a reading rests on has changed."""
        return f"{self.records_version()} {self.ledger_version()}"

    def records_version(self, *, without: Sequence[str] = ()) -> str:
        """Another text whenever records or decisions have changed, but for the records of some streams."""
        with self._transaction("reading what was pulled") as opened:
            row = opened.execute(
                sa.text(
                    "SELECT (SELECT concat_ws(' ', max(fid), count(superseded_at), count(*) FILTER (WHERE is_doubted))"
                    " FROM recon.raw_records WHERE venue = :venue AND NOT stream = ANY(:without)),"
                    " (SELECT max(id) FROM recon.wallet_decisions WHERE venue = :venue)"
                ),
                {"venue": self._venue, "without": list(without)},
            ).one()
            return " ".join(map(str, row))

    def ledger_version(self) -> str:
        """Another text whenever a day of the ledger stands in another way, or a market that was asked has left."""
        with self._transaction("reading what was pulled") as opened:
            row = opened.execute(
                sa.text(
                    "SELECT (SELECT md5(string_agg(concat_ws(' ', account, stream, date, status), ',' ORDER BY account,"
                    " stream, date)) FROM recon.pulls WHERE venue = :venue),"
                    " (SELECT md5(string_agg(concat_ws(' ', account, stream, symbol, asked_through, purged_after), ','"
                    " ORDER BY account, stream, symbol)) FROM recon.asked_symbols"
                    " WHERE venue = :venue AND purged_after IS NOT NULL)"
                ),
                {"venue": self._venue},
            ).one()
            return " ".join(map(str, row))

    # -- the parts

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[sa.Connection]:
        with named_errors(self._url, f"{doing} of {self._venue}"), self._engine.begin() as opened:
            yield opened

    @contextmanager
    def _alone(self, account: str, streams: Sequence[str]) -> Iterator[sa.Connection]:
        """A transaction that is alone in storing these streams of an account: captures take no lock of the venue."""
        with self._transaction(f"storing {'+'.join(streams)} of {account}") as opened:
            names = [f"{self._venue}:{account}:{stream}" for stream in streams]
            opened.execute(sa.text(_ALONE), {"names": names})
            yield opened

    def _keep_records(
        self, opened: sa.Connection, account: str, stream: str, versions: Versions, read_at: datetime
    ) -> Kept:
        place = {"venue": self._venue, "account": account, "stream": stream}
        changed, added, keys = list[str](), list[str](), list(versions)
        for begin in range(0, len(keys), AT_ONCE):
            some = keys[begin : begin + AT_ONCE]
            latest = {row.record_key: row for row in opened.execute(sa.text(_LATEST), {**place, "keys": some})}
            stand = {key: row.digest for key, row in latest.items() if row.digest is not None}
            if doubted := [versions[key] for key in some if versions[key].others and key in stand]:
                # an older release kept one of the contents alone
                others = ",".join(version.others_json for version in doubted)
                digests = [version.digest for version in doubted]
                opened.execute(sa.text(_OTHERS), {**place, "digests": digests, "others": f"[{others}]"})
            new = [key for key in some if stand.get(key) != versions[key].digest]
            if other := [key for key in new if key in stand]:
                opened.execute(sa.text(_SUPERSEDE), {**place, "read_at": read_at, "keys": other})
                changed += other
            if new:
                rows = ",".join(versions[key].row(1 + (latest[key].version if key in latest else 0)) for key in new)
                opened.execute(sa.text(_INSERT), {**place, "read_at": read_at, "rows": f"[{rows}]"})
                added += (key for key in new if key not in stand)
        return Kept(tuple(sorted(added)), tuple(sorted(changed)))

    def _before(self, opened: sa.Connection, account: str, stream: str, keys: Sequence[str]) -> Contents:
        """What these records told before they changed, by their key; none that tell the same by another call."""
        if not keys:
            return {}
        asked = {"venue": self._venue, "account": account, "stream": stream, "keys": list(keys)}
        rows = opened.execute(sa.text(_BEFORE), asked).all()
        return {row.record_key: exact(row.content) for row in rows if not row.is_same}

    def _retire(
        self,
        opened: sa.Connection,
        place: Mapping[str, Any],
        whole: Whole,
        days: Sequence[date],
        told: Collection[str],
    ) -> tuple[str, ...]:
        """Let the records of these days that were not told again count no longer; their keys."""
        gone = self._missing(opened, place, whole, days, told)
        if gone:
            query = sa.text("UPDATE recon.raw_records SET superseded_at = :read_at WHERE fid = ANY(:fids)")
            opened.execute(query, {**place, "fids": list(gone)})
        return tuple(sorted(gone.values()))

    @staticmethod
    def _missing(
        opened: sa.Connection, place: Mapping[str, Any], whole: Whole, days: Collection[date], told: Collection[str]
    ) -> dict[int, str]:
        """The keys of the records of these days that were not told again, by their fid."""
        if not days:
            return {}
        given = {
            **place, "first": min(days), "last": max(days), "days": list(days), "told": list(told),
            "calls": canonical_json([dict(call) for call in whole.calls]),
        }  # fmt: skip
        rows = opened.execute(sa.text(_NOT_TOLD), given).all()
        return {row.fid: row.record_key for row in rows if whole.is_due(exact(row.content))}

    def _mark(
        self,
        opened: sa.Connection,
        account: str,
        stream: str,
        days: Mapping[date, DayRead],
        read_at: datetime,
        *,
        is_judgement: bool = False,
    ) -> None:
        rows = [
            {"date": str(day), "status": read.status, "pages": read.pages, "records": read.records,
             "error": read.error, "message": read.message, "calls": read.calls}
            for day, read in sorted(days.items())
        ]  # fmt: skip
        if rows:
            given = {"venue": self._venue, "account": account, "stream": stream, "read_at": read_at}
            given |= {"is_judgement": is_judgement, "rows": canonical_json(rows)}
            opened.execute(sa.text(_MARK), given)
            if any(read.status == "failed" for read in days.values()):
                opened.execute(sa.text(_ASKED_IN_VAIN), given)


@dataclass(frozen=True)
class _Version:
    """What one read says of a record, as it is stored."""

    record: Told
    digest: str
    others: Sequence[Told] = ()
    """What else it says of it, in other words."""

    @property
    def others_json(self) -> str:
        """What else it says, as JSON."""
        return f"[{','.join(other.content_json for other in self.others)}]"

    def row(self, version: int) -> str:
        """As JSON; the parts that are JSON already are not encoded twice."""
        record = self.record
        rest = {
            "record_key": record.key,
            "version": version,
            "digest": self.digest,
            "instant": record.instant.isoformat() if record.instant else None,
            "response_id": record.response_id,
            "response_ids": list(record.response_ids) or None,
            "is_doubted": bool(self.others),
        }
        others = self.others_json if self.others else "null"
        parts = f'"call":{record.call_json},"content":{record.content_json},"others":{others}'
        return f"{{{parts},{canonical_json(rest)[1:]}"


Versions: TypeAlias = Mapping[str, _Version]


def _one_version_each(account: str, stream: str, told: Sequence[Told]) -> Versions:
    """What is told of each record, by its key; to be made before a transaction begins, for of very many records it
    takes longer than PostgreSQL lets one idle. Told twice in one read with different content, it is doubted; told by
    two calls with the same content, it is told once. The digest names the record too: what two accounts are told in
    the same words are two records."""
    by_key: dict[str, dict[str, Told]] = {}
    for record in told:
        by_key.setdefault(record.key, {})[record.digest] = record
    versions = {}
    for key, of_key in by_key.items():
        first = min(of_key)
        by_content = {of_key[each].content_json: of_key[each] for each in sorted(of_key, reverse=True)}
        others = [other for text, other in sorted(by_content.items()) if text != of_key[first].content_json]
        digest = digest_of_json(account, stream, key, sorted(of_key) if others else first)
        versions[key] = _Version(of_key[first], digest, others)
    return versions


# In one order, so that two who want several never wait for each other; the key is apart from those of other locks.
_ALONE = (
    "SELECT pg_advisory_xact_lock(key) FROM (SELECT DISTINCT hashtextextended('recon.raw_records:' || name, 0) AS key"
    " FROM unnest(CAST(:names AS text[])) AS name ORDER BY key OFFSET 0) AS ordered"
)
_COUNTING = (
    "SELECT fid, account, stream, record_key, call, digest, is_doubted, read_at, instant, version"
    " FROM recon.raw_records WHERE venue = :venue AND account = :account AND stream = ANY(:streams)"
    " AND superseded_at IS NULL AND (CAST(:since AS timestamptz) IS NULL OR instant >= :since)"
)
_STANDING = (
    "SELECT fid, record_key, digest, instant FROM recon.raw_records WHERE venue = :venue AND account = :account"
    " AND stream = :stream AND superseded_at IS NULL AND record_key = ANY(:keys)"
)
# No statement looks records up one by one: a table that has just been made, or has grown much since PostgreSQL last
# counted it, is thought to be small, and each look-up would read all of it.
_LATEST = (
    "SELECT record_key, max(version) AS version, max(digest) FILTER (WHERE superseded_at IS NULL) AS digest"
    " FROM recon.raw_records WHERE venue = :venue AND account = :account AND stream = :stream"
    " AND record_key = ANY(:keys) GROUP BY record_key"
)
_SUPERSEDE = (
    "UPDATE recon.raw_records SET superseded_at = :read_at WHERE venue = :venue AND account = :account"
    " AND stream = :stream AND superseded_at IS NULL AND record_key = ANY(:keys)"
)
_OTHERS = (
    "UPDATE recon.raw_records AS t SET others = CAST(:others AS jsonb) -> (CAST(given.place AS int) - 1)"
    " FROM unnest(CAST(:digests AS text[])) WITH ORDINALITY AS given(digest, place)"
    " WHERE t.venue = :venue AND t.account = :account AND t.stream = :stream AND t.superseded_at IS NULL"
    " AND t.digest = given.digest AND t.others IS NULL"
)
_BEFORE = (
    "SELECT record_key, before AS content, is_same FROM (SELECT record_key, superseded_at, lag(content::text) OVER w AS"
    " before, lag(content) OVER w = content AS is_same FROM recon.raw_records WHERE venue = :venue"
    " AND account = :account AND stream = :stream AND record_key = ANY(:keys)"
    " WINDOW w AS (PARTITION BY record_key ORDER BY version)) AS versions"
    " WHERE superseded_at IS NULL AND before IS NOT NULL ORDER BY record_key"
)
_NOT_TOLD = (
    "SELECT fid, record_key, content::text AS content FROM recon.raw_records AS t"
    " WHERE venue = :venue AND account = :account AND stream = :stream AND superseded_at IS NULL"
    " AND instant >= (CAST(:first AS timestamp) AT TIME ZONE 'UTC')"
    " AND instant < (CAST(:last AS timestamp) + interval '1 day') AT TIME ZONE 'UTC'"
    " AND CAST(instant AT TIME ZONE 'UTC' AS date) = ANY(:days)"
    " AND NOT EXISTS (SELECT FROM unnest(CAST(:told AS text[])) AS again(record_key)"
    " WHERE again.record_key = t.record_key)"
    " AND call IN (SELECT jsonb_array_elements(CAST(:calls AS jsonb))) ORDER BY fid"
)
_INSERT = (
    "INSERT INTO recon.raw_records (venue, account, stream, record_key, version, call, content, digest, instant,"
    " response_id, response_ids, is_doubted, others, read_at)"
    " SELECT :venue, :account, :stream, given.*, :read_at FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS given("
    "record_key text, version integer, call jsonb, content jsonb, digest text, instant timestamptz, response_id bigint,"
    " response_ids bigint[], is_doubted boolean, others jsonb)"
)
# What was read completely stands, whatever becomes of a later read, or if nothing is asked any more; final stays final:
# unless other calls would have to be made for it now. What was only judged to be complete is judged anew.
_MARK = (
    "INSERT INTO recon.pulls AS p (venue, account, stream, date, status, pages, records, error, message, calls,"
    " read_at) SELECT :venue, :account, :stream, given.*, :read_at FROM jsonb_to_recordset(CAST(:rows AS jsonb))"
    " AS given(date date, status text, pages bigint, records bigint, error text, message text, calls text)"
    " ON CONFLICT (venue, account, stream, date) DO UPDATE SET status = excluded.status, pages = excluded.pages,"
    " records = excluded.records, error = excluded.error, message = excluded.message,"
    " calls = coalesce(excluded.calls, p.calls), read_at = excluded.read_at,"
    " asked_in_vain = NULL, asked_in_vain_at = NULL WHERE p.calls <> excluded.calls"
    " OR (NOT (p.status IN ('complete', 'final') AND excluded.status IN ('partial', 'failed', 'not_applicable'))"
    " AND NOT (p.status = 'final' AND excluded.status = 'complete'))"
    " OR (:is_judgement AND p.status = 'complete')"
)
_ASKED_IN_VAIN = (
    "UPDATE recon.pulls AS p SET asked_in_vain = given.error, asked_in_vain_at = :read_at"
    " FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS given(date date, status text, error text)"
    " WHERE p.venue = :venue AND p.account = :account AND p.stream = :stream AND p.date = given.date"
    " AND given.status = 'failed' AND p.status = 'complete'"
)
_REOPEN = (
    "UPDATE recon.pulls AS p SET status = CASE WHEN given.is_all THEN 'partial' ELSE 'complete' END,"
    " error = 'RecordUnusable', message = 'something that it told cannot be believed: marts.quarantined_rows names it'"
    " FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS given(account text, stream text, date date, is_all boolean)"
    " WHERE p.venue = :venue AND p.account = given.account AND p.stream = given.stream AND p.date = given.date"
    " AND (p.status = 'final' OR (p.status = 'complete' AND given.is_all))"
)
_ASK_AGAIN = (
    "UPDATE recon.asked_symbols AS a SET last_id = NULL,"
    " asked_through = greatest(a.asked_from, least(a.asked_through, coalesce(given.begin, a.asked_from)))"
    " FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS given(account text, stream text, symbol text,"
    " begin timestamptz)"
    " WHERE a.venue = :venue AND a.account = given.account AND a.stream = given.stream AND a.symbol = given.symbol"
    " AND a.purged_after IS NULL"
)
_OF_ASSUMED = "jsonb_to_recordset(CAST(:rows AS jsonb)) AS given(raw_id text, usual_wallet text, fixed text[])"
_ASSUMED = (
    f"DELETE FROM recon.assumed_wallets AS a WHERE venue = :venue AND NOT EXISTS (SELECT FROM {_OF_ASSUMED}"
    " WHERE given.raw_id = a.raw_id AND given.usual_wallet = a.usual_wallet AND given.fixed = a.fixed)",
    "INSERT INTO recon.assumed_wallets (venue, raw_id, usual_wallet, fixed)"
    f" SELECT :venue, given.* FROM {_OF_ASSUMED} ON CONFLICT DO NOTHING",
)
_FORGET_ID = (
    "UPDATE recon.asked_symbols SET last_id = NULL WHERE venue = :venue AND account = :account AND stream = :stream"
    " AND symbol = ANY(:symbols)"
)
_NEVER_READ = (
    "SELECT DISTINCT p.account FROM recon.pulls AS p"
    " WHERE p.venue = :venue AND p.account <> ALL(CAST(:known AS text[]))"
    " AND NOT EXISTS (SELECT FROM recon.pulls AS other WHERE other.venue = p.venue AND other.account = p.account"
    "  AND other.status <> 'failed')"
    " AND NOT EXISTS (SELECT FROM recon.raw_records AS r WHERE r.venue = p.venue AND r.account = p.account)"
    " ORDER BY p.account"
)
# What was asked before counts on only where the two spans meet; else the new one stands alone, whichever is earlier. A
# market that left and is listed again may number its trades anew.
_ASKED = (
    "INSERT INTO recon.asked_symbols AS a (venue, account, stream, symbol, asked_from, asked_through, last_id, trades,"
    " last_trade_at, purged_after, last_checked)"
    " SELECT :venue, :account, :stream, given.* FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS given(symbol text,"
    " asked_from timestamptz, asked_through timestamptz, last_id numeric, trades bigint, last_trade_at timestamptz,"
    " purged_after timestamptz, asked_at timestamptz)"
    " ON CONFLICT (venue, account, stream, symbol) DO UPDATE SET"
    " asked_from = CASE WHEN excluded.asked_from <= a.asked_through AND excluded.asked_through >= a.asked_from"
    " THEN least(a.asked_from, excluded.asked_from) ELSE excluded.asked_from END,"
    " asked_through = CASE WHEN excluded.asked_through >= a.asked_from"
    " THEN greatest(a.asked_through, excluded.asked_through) ELSE excluded.asked_through END,"
    " last_id = CASE WHEN a.purged_after IS NULL AND excluded.asked_through >= a.asked_from"
    " THEN greatest(a.last_id, excluded.last_id) ELSE excluded.last_id END,"
    " trades = a.trades + excluded.trades,"
    " last_trade_at = greatest(a.last_trade_at, excluded.last_trade_at), last_checked = excluded.last_checked,"
    " purged_after = excluded.purged_after"
)


_DECODER = json.JSONDecoder(parse_float=Decimal)


def _integer(digits: str) -> int | Decimal:
    try:
        return int(digits)
    except ValueError:  # Python reads no longer ones
        return Decimal(digits)


_LONG_DECODER = json.JSONDecoder(parse_float=Decimal, parse_int=_integer)
_PARSED: dict[str, Any] = {}
"""Contents by the digest of their record: the same in every database, for a digest stands for one content."""
_PARSED_MAX = 100_000


def exact(text: str) -> Any:
    """JSON from the database, with numbers as int or Decimal; a whole one of thousands of digits, which the database
    writes out, is Decimal too."""
    try:
        return _DECODER.decode(text)
    except ValueError:
        return _LONG_DECODER.decode(text)
