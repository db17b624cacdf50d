"""Whose account a key opens. The venue numbers its accounts: a key is believed only while its number is the one that
the account always had, and the one under which its main account lists it.

Source: "Account information (USER_DATA)", uid; "Query Sub-account List (For Master Account)", subUserId.
"""

from __future__ import annotations

from collections.abc import Mapping

from recon_pipeline.errors import ReconError


class WrongIdentity(ReconError):  # noqa: N818 - the name says what is the matter
    """The key of an account opens another one."""


def wrong_identities(
    opened: Mapping[str, str],
    before: Mapping[str, str],
    listed: Mapping[str, str],
    former: Mapping[str, str] | None = None,
) -> dict[str, WrongIdentity]:
    """The accounts whose key opens another one, by e-mail.

    `opened` is the number that each key opens now, `before` the one that it opened at first, in the order in which they
    were told, `listed` that of each sub-account as main accounts list them. Of keys that open one account that of the
    name which had its number first is right; where nobody had it before all are wrong: it would be booked twice. So it
    would be under a new name for what was read under a `former` one, unless its main account lists it by the new one.
    """
    read_as = {number: email for email, number in (former or {}).items()}
    owner = {number: email for email, number in listed.items()}
    if not any(number in owner for number in opened.values()):
        listed, owner = {}, {}  # the list numbers accounts in another way
    for email, number in before.items():
        owner.setdefault(number, email)
    wrong = {}
    for email, number in sorted(opened.items()):
        expected = listed.get(email, before.get(email))
        other = email if listed.get(email) == number else owner.get(number, email)
        shared = sorted(each for each in opened if each != email and opened[each] == number)
        if other == email and shared and number not in owner:
            wrong[email] = _wrong(email, f"the same account as that of {shared[0]}")
        elif other != email:
            wrong[email] = _wrong(email, f"that of {other}")
        elif expected is not None and expected != number:
            wrong[email] = _wrong(email, "another account than before")
        elif email not in before and number in read_as and listed.get(email) != number:
            wrong[email] = _wrong(
                email,
                f"the account that was read as {read_as[number]}, which recon.yaml names no more",
                next_step=f"name it {read_as[number]} in recon.yaml as before, and give {email} under emails of it if"
                " that is its e-mail now; another name needs another database, for what was read under the former one"
                " stays",
            )
    return wrong


def unchecked(opened: Mapping[str, str], listed: Mapping[str, str]) -> list[str]:
    """The sub-accounts whose keys open none of the numbers that main accounts list: these are numbered in another way,
    or all these keys are strangers'. Nobody can tell which."""
    if set(opened.values()) & set(listed.values()):
        return []
    return sorted(opened.keys() & listed.keys())


_RIGHT_KEY = (
    "store the right key with recon secrets set, or correct the account's credentials in recon.yaml, or its name, if"
    " the other account is meant; nothing is read with this key until then"
)


def _wrong(email: str, whose: str, next_step: str = _RIGHT_KEY) -> WrongIdentity:
    return WrongIdentity(
        f"the key opens {whose}", where=f"account {email}", expected="the key of this account", next_step=next_step
    )
