"""The streams of Binance that are told by day: every one of every account that a run needs. Trades rest on them.

An account that fails fails alone, and a stream of it alone where the account itself is well. What cannot be had is
marked in the ledger and kept as an error; what was read before stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from recon_pipeline.errors import ReconError
from recon_pipeline.stores.raw import DayRead
from recon_pipeline.stores.reviews import resolve_forgotten
from recon_pipeline.transport.errors import InvalidSymbol, NotMainAccount
from recon_pipeline.venues.binance.accounts import (
    ACCOUNT_INFO,
    FAMILIES,
    NAMING,
    NOT_THERE,
    OPENED_UNKNOWN,
    SUB_ACCOUNTS,
)
from recon_pipeline.venues.binance.family import AccountUnknown, look_at_accounts
from recon_pipeline.venues.binance.holes import ISOLATED, STATING, TOLD_BY
from recon_pipeline.venues.binance.markets import look_at_markets, refresh_markets
from recon_pipeline.venues.binance.problems import market_refused, sub_account_gone
from recon_pipeline.venues.binance.session import AccountStopped, Session
from recon_pipeline.venues.binance.streams import BY_NAME, STREAMS
from recon_pipeline.venues.drain import ONE_MS, Ask, Drain
from recon_pipeline.venues.pull import ONE_DAY, Ledger, Puller, Span, covered, digest_of_calls, midnight
from recon_pipeline.venues.streams import NEVER_USED, AccountFacts, Stream

ALGO_ORDERS, ALGO_CHILDREN = "spot_algo_orders", "spot_algo_sub_orders"
_NO_KEY = ("NoKey", "recon.yaml names no key for it")
_NO_FAMILY = AccountUnknown(
    "which sub-accounts there are could not be read",
    where=SUB_ACCOUNTS,
    expected="a list of sub-accounts, or a refusal that says that there are none",
    next_step="see with recon errors list why it was not told, then run again",
)
_STATING_OF = {
    product: tuple(
        sorted(each for each in STATING if BY_NAME[each].product == product and ISOLATED not in TOLD_BY[each])
    )
    for product in FAMILIES
}
"""What says of a night that a product was not opened. Who has opened margin need have nothing of isolated margin."""


class NotGone(ReconError):  # noqa: N818 - the name says what is the matter
    """recon.yaml says that the venue has removed a stream, from a day on that it has told of."""


class UsedAfterAll(ReconError):  # noqa: N818 - the name says what is the matter
    """recon.yaml says that an account never used a product of which the venue has told."""


@dataclass
class Pull:
    """The streams that are asked for whole days, of every account."""

    session: Session
    _is_refreshed: bool = False
    """Whether the list of markets was read anew, since the venue did not know one."""
    _captured: dict[str, Mapping[str, Mapping[date, set[str]]]] = field(default_factory=dict)
    """What captures named, by stream, account and day."""

    def run(self) -> dict[str, AccountFacts]:
        """Everything but trades, which rest on what this brings; the accounts as they are."""
        self.session.asked.check()
        look_at_markets(self.session)
        facts = look_at_accounts(self.session)
        self._forget_misnamed(facts)
        ledger = Ledger(self.session.raw)
        asked = [of_account for of_account in facts.values() if self._is_asked(of_account)]
        self.session.each(asked, lambda of_account: self._account(of_account, ledger))
        return facts

    def _forget_misnamed(self, facts: Mapping[str, AccountFacts]) -> None:
        """A misspelt account that was put right since would keep the venue's days open for ever."""
        extras = (names for of_account in facts.values() for names in of_account.extras.values())
        known = {*facts, *(name for names in extras for name in names)}
        if forgotten := self.session.raw.never_read(known):
            # the marks last: a run that is killed in between leaves it to the next one to find the account again
            resolve_forgotten(self.session.url, self.session.venue, forgotten)
            self.session.raw.forget_failures(forgotten)

    def _account(self, facts: AccountFacts, ledger: Ledger) -> None:
        """Every stream of one account."""
        if not self.session.has_key(facts.email):
            why = self.session.refused.get(facts.email) or self.session.keys.get(facts.email)
            told = (type(why).__name__, why.found) if isinstance(why, ReconError) else _NO_KEY
            self._cannot_ask(facts, *told)
            return
        ask = self.session.ask_as(facts.email)
        puller = Puller(
            self.session.raw,
            ledger,
            self.session.clock.now,
            self.session.asked.check,
            self.session.tell_gone,
            tell_changed=self.session.tell_changed,
            tell_failed=lambda email, stream, error: self.session.record(error, email, stream.name),
            tell_refused=self._tell_refused,
            refresh=self._refresh,
            is_left=self._is_left,
            is_not_there=self.session.is_not_there,
            unopened=lambda of_account, day: [
                product
                for product in of_account.had
                if _is_said(ledger, of_account.email, _STATING_OF.get(product, ()), day)
            ],
        )
        self.session.asked.say(f"pulling {facts.email}")
        facts = self._without_what_was_told(self._without_what_was_used(facts))
        try:
            for role in ("snapshot", "flow", "detail"):
                # which markets are asked for detail is known from the ledgers
                of_role = self._with_named_markets(facts) if role == "detail" else facts
                for stream in self._streams(facts, role):
                    first, _ = self.session.days_of(stream)
                    of_stream = self._with_parents(of_role, first) if stream.name == ALGO_CHILDREN else of_role
                    if self._waits_for_family(stream, facts):
                        self.session.fail(stream, facts, _NO_FAMILY)
                        continue
                    if (last := self._heard_until(stream, facts, ledger)) < first:
                        continue
                    with self.session.told_of(facts.email, stream.name, stream, facts):
                        if stream.asked_with == "master":
                            of_stream = self._without_who_is_gone(stream, of_stream, ask)
                        puller.pull(stream, of_stream, ask, first, last)
        except AccountStopped as stopped:
            self.session.refused[facts.email] = stopped.args[0]  # nothing that comes later may use the key either
            self._cannot_ask(facts, type(stopped.args[0]).__name__, stopped.args[0].found)

    def _refresh(self) -> bool:
        """Reads the list of markets anew, once in a run, or once more where two accounts meet such a market at once."""
        if self._is_refreshed:
            return False
        refresh_markets(self.session)
        self._is_refreshed = True
        return True

    def _is_left(self, facts: AccountFacts, name: str, day: date) -> bool:
        """Whether the last capture by the end of a day tells nothing of a market or an asset that captures named."""
        for stream, (extra, field_) in NAMING.items():
            if BY_NAME[stream].role == "capture" and name in facts.extras.get(extra, ()):
                told = self._named_in_captures(stream, field_).get(facts.email, {})
                last = max((on for on in told if on <= day), default=None)
                return last is not None and name not in told[last]
        return False

    def _named_in_captures(self, stream: str, field_: str) -> Mapping[str, Mapping[date, set[str]]]:
        """What captures named, by account and by the day that each closes; read once a run."""
        if stream not in self._captured:
            found: dict[str, dict[date, set[str]]] = {}
            for row in self.session.raw.records([stream]):
                names = {str(each.get(field_)) for each in row.content["rows"]}
                found.setdefault(row.account, {})[date.fromisoformat(row.content["date"])] = names
            self._captured[stream] = found
        return self._captured[stream]

    def _tell_refused(self, email: str, stream: Stream, name: str, error: InvalidSymbol) -> None:
        """Tell a person of a market or an asset that a stream cannot be asked of."""
        self.session.tell_once(market_refused(email, stream, name, error))

    def _without_who_is_gone(self, stream: Stream, facts: AccountFacts, ask: Ask) -> AccountFacts:
        """The account, with those of its sub-accounts as unknown that no list names any more and whose e-mail the
        stream refuses. That costs days of their own alone: what moved between them and another is told of the other
        too, and where it is not, his balance does not add up."""
        unknown = frozenset(sub for sub in facts.unlisted if self._is_refused(stream, facts, sub, ask))
        for sub in sorted(unknown):
            problem = sub_account_gone(sub)
            # of earlier days stands what was read, with whichever calls
            gone = DayRead("failed", error=problem.name, message=f"{problem.found}; {problem.next_step}")
            days = dict.fromkeys(Span(*self.session.days_of(stream)).days, gone)
            self.session.raw.mark(sub, stream.name, days, self.session.clock.now())
            self.session.tell_once(problem)
        return replace(facts, unknown=unknown)

    def _is_refused(self, stream: Stream, facts: AccountFacts, sub: str, ask: Ask) -> bool:
        """Whether the venue does not let a stream be asked by the name of a sub-account, not even of yesterday."""
        today = midnight(self.session.clock.now().date())
        call = next((call for call in stream.calls(facts) if sub in call.values()), None)
        if call is not None:
            try:
                Drain(stream, ask).call(call, (today - ONE_DAY, today - ONE_MS))
            except NotMainAccount:
                return True
            except ReconError:
                return False  # whatever else is wrong, the reading will meet it
        return False

    def _without_what_was_used(self, facts: AccountFacts) -> AccountFacts:
        """The account, with `never_used` believed only of what the venue never told of."""
        unused = self.session.never_used(facts)
        for stream in sorted({*facts.extras.get(NEVER_USED, ())} - unused):
            wrong = UsedAfterAll(
                "recon.yaml says that the account never used it, and the venue has told of it",
                where=f"account {facts.email}, {stream}",
                expected="streams under never_used that never told of anything",
                next_step="take it out of never_used; it is asked for as if it were not there. If the venue has removed"
                " it since, name it under gone of the venue",
            )
            self.session.record(wrong, facts.email, stream)
        return replace(facts, extras={**facts.extras, NEVER_USED: sorted(unused)})

    def _without_what_was_told(self, facts: AccountFacts) -> AccountFacts:
        """The account, with `gone` believed only from a day on that is later than all that the venue told of."""
        gone = dict(facts.gone)
        for stream, since in facts.gone.items():
            last = self.session.raw.told_until(facts.email, stream)
            if last is None or last < since:
                continue
            wrong = NotGone(
                f"recon.yaml says that the venue has removed it by {since}, and it has told of {last}",
                where=f"account {facts.email}, {stream}",
                expected="the first day on which it was not there any more, after all that it told of",
                next_step=f"correct the day under gone of the venue, {last + ONE_DAY} or later, or take it out; it is"
                " asked for as if it were not there",
            )
            self.session.record(wrong, facts.email, stream)
            del gone[stream]
        return replace(facts, gone=gone)

    def _waits_for_family(self, stream: Stream, facts: AccountFacts) -> bool:
        """Whether a stream would be asked of an account in a family, and nobody knows whether this one is in one."""
        if not self.session.without_family or facts.master is not None or facts.subs or stream.calls(facts):
            return False
        someone = (facts.email,)
        extras = {**facts.extras, "subs_without_key": someone}
        return bool(stream.calls(replace(facts, master=facts.email, subs=someone, extras=extras)))

    def _heard_until(self, stream: Stream, facts: AccountFacts, ledger: Ledger) -> date:
        """The last day for which it is known how to ask for a stream. After it, nobody said what of the stream's the
        account had opened: those days are marked, and wait for a run that hears it.

        A product that the account had not opened when the venue last said so it may have opened by now. So nothing is
        asked of its own streams, and no more of those that tell of it among others than up to there.
        """
        first, last = self.session.days_of(stream)
        is_heard = (facts.email, ACCOUNT_INFO) in self.session.well or stream.name in facts.extras.get(NEVER_USED, ())
        of_it = [] if is_heard else _unopened(stream, facts)
        if not of_it:
            return last
        said = {
            day: facts.on(day, of_it).products.isdisjoint(of_it)
            and all(self._is_unopened(product, stream, facts.email, day, ledger) for product in of_it)
            for day in Span(first, last).days
        }
        now = self.session.clock.now()
        if not stream.calls(facts):
            days = {day: NOT_THERE if is_said else OPENED_UNKNOWN for day, is_said in said.items()}
            self.session.raw.mark(facts.email, stream.name, days, now)
            return first - ONE_DAY
        stand = {day for day in said if self._stands(ledger.status(facts.email, stream.name, day), day)}
        since = min((day for day in said.keys() - stand if not said[day]), default=last + ONE_DAY)
        of_calls = digest_of_calls(stream, replace(facts, products=facts.products.union(of_it)))
        unheard = {day: replace(OPENED_UNKNOWN, calls=of_calls(day)) for day in said.keys() - stand if day >= since}
        self.session.raw.mark(facts.email, stream.name, unheard, now)
        return since - ONE_DAY

    def _stands(self, status: str | None, day: date) -> bool:
        """Whether a day was read in a run of its own: the one before read no more than how it began."""
        return status == "final" or (status == "complete" and day < self.session.asked.days[0])

    def _is_unopened(self, product: str, stream: Stream, email: str, day: date, ledger: Ledger) -> bool:
        """Whether the venue said of a day, since, that the account had not opened the product: when the day was
        captured, or pulled in an earlier run.

        The day after the run's last has just begun: what was said of the last one is enough, unless a run of that day
        was made before this one. What it could not say, this one cannot.
        """
        stating, asked = _STATING_OF.get(product, ()), self.session.asked.days
        is_beginning = day > asked[-1] and ledger.status(email, stream.name, day) != "failed"
        names = (*stating, stream.name) if day < asked[0] else stating
        return _is_said(ledger, email, names, day) or (is_beginning and _is_said(ledger, email, stating, asked[-1]))

    def _with_named_markets(self, facts: AccountFacts) -> AccountFacts:
        """The account with the markets that its ledgers name, each as product:symbol; and those of its family."""
        of_each = {
            email: {
                f"{_LEDGERS[stream]}:{name}" for stream, name in self.session.raw.symbols_named(email, list(_LEDGERS))
            }
            for email in (facts.email, *facts.subs)
        }
        given = facts.extras.get("detail_symbols", ())
        extras = {
            "detail_symbols": sorted({*given, *of_each[facts.email]}),
            "family_symbols": sorted({*given, *(name for names in of_each.values() for name in names)}),
        }
        return replace(facts, extras={**facts.extras, **extras})

    def _with_parents(self, facts: AccountFacts, first: date) -> AccountFacts:
        """The account with its algo orders of late, whose child orders are told order by order."""
        orders = self.session.raw.records([ALGO_ORDERS])
        of_late = {
            str(row.content["algoId"])
            for row in orders
            if row.account == facts.email and row.instant is not None and row.instant >= midnight(first)
        }
        return replace(facts, extras={**facts.extras, "algo_ids": sorted(of_late)})

    def _cannot_ask(self, facts: AccountFacts, name: str, message: str) -> None:
        """Every stream of an account that cannot be asked has a hole, but where it was said once the day was over that
        the account had no such thing: no key is needed to know that."""
        hole, now = DayRead("failed", error=name, message=message), self.session.clock.now()
        not_there = self._not_there()
        for stream in STREAMS:
            # what a main account's key is asked for has a hole in every account of its family
            if stream.role in ("flow", "snapshot") and (stream.asked_with == "own" or facts.asked_by is None):
                for account in covered(stream, facts):
                    days = {d: hole for d in self.session.asked.days if (account, stream.name, d) not in not_there}
                    self.session.raw.mark(account, stream.name, days, now)

    def _not_there(self) -> set[tuple[str, str, date]]:
        """Account, stream and day of the run of which the venue or the user said, when the day was over, that the
        stream does not apply."""
        return {
            (row.account, row.stream, row.date)
            for row in self.session.raw.ledger(self.session.asked.days[0], self.session.asked.days[-1])
            if row.status == "not_applicable" and row.read_at >= midnight(row.date + ONE_DAY)
        }

    def _is_asked(self, facts: AccountFacts) -> bool:
        """Whether anything is asked with the key of an account: for itself, or for a sub-account of its own. Not of one
        that nobody names any more, since its main account was taken out."""
        is_wanted = self.session.is_wanted(facts.email) or any(map(self.session.is_wanted, facts.subs))
        return is_wanted and (facts.email in self.session.api.accounts or facts.asked_by is not None)

    def _streams(self, facts: AccountFacts, role: str) -> list[Stream]:
        """What is asked of an account; if only a sub-account of it is wanted, what its key alone may ask for that."""
        is_wanted = self.session.is_wanted(facts.email)
        return [each for each in _asked_by_day(facts, role) if is_wanted or each.asked_with == "master"]


def _is_said(ledger: Ledger, email: str, streams: Iterable[str], day: date) -> bool:
    """Whether the venue said of a day that some stream does not apply to an account."""
    return any(ledger.status(email, name, day) == "not_applicable" for name in streams)


def _unopened(stream: Stream, facts: AccountFacts) -> list[str]:
    """The products that an account has not opened, and of which a stream would tell if it had."""
    calls = stream.calls(facts)
    return [
        product
        for product in sorted(FAMILIES.keys() - facts.products)
        if product == stream.product or stream.calls(replace(facts, products=facts.products | {product})) != calls
    ]


_LEDGERS = {
    "margin_capital_flow": "margin",
    "futures_income": "futures",
    "futures_coin_income": "futures_coin",
    "option_bills": "option",
}
"""Ledgers that name markets, and of which product."""


def _asked_by_day(facts: AccountFacts, role: str) -> list[Stream]:
    """The streams that are asked for whole days: not captures, which tell of the present, and not what is asked market
    by market. What only a main account's key may ask is asked once, for the whole family."""
    return [
        stream
        for stream in STREAMS
        if stream.role == role
        and stream.name not in BY_MARKET
        and (stream.asked_with == "own" or facts.asked_by is None)
    ]


BY_MARKET = frozenset({"spot_trades", "allocations"})
