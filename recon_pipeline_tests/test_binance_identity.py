"""A key is believed while it opens the account that it always opened."""

from __future__ import annotations

import pytest

from recon_pipeline.venues.binance.identity import wrong_identities

MAIN, DESK, VAULT = "main@example.com", "desk@example.com", "vault@example.com"
COPY = "a.copy@example.com"
LISTED = {DESK: "2", VAULT: "3"}


@pytest.mark.parametrize(
    ("opened", "before", "listed", "wrong"),
    [
        ({MAIN: "1", DESK: "2"}, {}, LISTED, {}),
        ({MAIN: "1", DESK: "2"}, {MAIN: "1", DESK: "2"}, {}, {}),
        ({MAIN: "2", DESK: "1"}, {}, LISTED, {MAIN: DESK, DESK: "another account than before"}),
        ({DESK: "3"}, {}, LISTED, {DESK: VAULT}),
        ({MAIN: "901", DESK: "902"}, {}, LISTED, {}),
        ({DESK: "2"}, {DESK: "2"}, {DESK: "2", "a.former.name@example.com": "2", "z@example.com": "2"}, {}),
        ({MAIN: "7"}, {MAIN: "1"}, {}, {MAIN: "another account than before"}),
        ({COPY: "1"}, {MAIN: "1"}, {}, {COPY: MAIN}),
        ({COPY: "1"}, {MAIN: "1", COPY: "1"}, {}, {COPY: MAIN}),
        ({MAIN: "1"}, {MAIN: "1", COPY: "1"}, {}, {}),
        ({MAIN: "1", COPY: "1"}, {MAIN: "1"}, {}, {COPY: MAIN}),
        ({MAIN: "1", COPY: "1"}, {MAIN: "1", COPY: "1"}, {}, {COPY: MAIN}),
        ({MAIN: "1", COPY: "1"}, {}, {}, {MAIN: COPY, COPY: MAIN}),
        ({DESK: "2", COPY: "2"}, {}, LISTED, {COPY: DESK}),
        ({DESK: "2"}, {"a.former.name@example.com": "2"}, LISTED, {}),
    ],
)
def test_a_key_opens_the_account_that_it_is_for(
    opened: dict[str, str], before: dict[str, str], listed: dict[str, str], wrong: dict[str, str]
) -> None:
    found = wrong_identities(opened, before, listed)
    assert found.keys() == wrong.keys()
    assert all(whose in found[email].found for email, whose in wrong.items())


@pytest.mark.parametrize(
    ("before", "listed", "is_wrong"), [({}, {}, True), ({}, LISTED, False), ({DESK: "2"}, {}, False)]
)
def test_what_was_read_under_another_name_is_not_read_anew_unless_its_main_account_lists_it_so(
    before: dict[str, str], listed: dict[str, str], is_wrong: bool
) -> None:
    found = wrong_identities({DESK: "2"}, before, listed, {"a.former.name@example.com": "2"})
    assert [error.next_step.startswith("name it a.former.name@example.com") for error in found.values()] == (
        [True] if is_wrong else []
    )
