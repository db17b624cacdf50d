"""recon.yaml: what is read, and the exact text with which a wrong one is refused."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from recon_pipeline.config import INIT_TEMPLATE, Opening, Settings, Severities, ToleranceRule, load_settings
from recon_pipeline.errors import ConfigError

MINIMAL = """\
start: 2026-01-01
venues:
  dao:
    kind: statements
    folder: statements/dao
"""


def load(folder: Path, text: str, **env: str) -> Settings:
    path = folder / "recon.yaml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, env)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    assert caught.value.exit_code == 2
    return str(caught.value).replace(str(folder) + "/", "")


def test_the_smallest_configuration_gets_its_defaults(tmp_path: Path) -> None:
    settings = load(tmp_path, MINIMAL)
    dao = settings.venues["dao"]
    assert (dao.kind, dao.folder, dao.mapping) == ("statements", tmp_path / "statements/dao", None)
    assert (dao.calendar, dao.due_days, dao.start) == ("daily", 1, date(2026, 1, 1))
    assert (dao.files, dao.price_sources, dao.measures) == ({}, (), ("balance",))
    assert settings.severities == Severities()
    assert settings.tolerances.rules("dao") == ()
    assert settings.openings == ()


def test_every_key_of_a_venue_is_read(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        """\
start: 2026-01-01
venues:
  dao:
    kind: statements
    folder: /data/dao
    files:
      b: "balances-*.csv"
      t: transactions-*.csv
    mapping: mapping/dao
    calendar: stated
    due_days: 0
    start: 2026-02-01
    measures: [loan]
  rates: {kind: statements, folder: rates, calendar: weekdays, measures: [interest, balance]}
prices: {sources: [rates, dao]}
""",
    )
    dao, rates = settings.venues["dao"], settings.venues["rates"]
    assert (dao.folder, dao.mapping) == (Path("/data/dao"), tmp_path / "mapping/dao")
    assert dict(dao.files) == {"b": "balances-*.csv", "t": "transactions-*.csv"}
    assert (dao.calendar, dao.due_days, dao.start) == ("stated", 0, date(2026, 2, 1))
    assert (dao.measures, rates.measures) == (("balance", "loan"), ("balance", "interest"))
    assert (dao.price_sources, rates.price_sources) == (("rates",), ("dao",)), "a venue is not its own second source"


def test_tolerances_are_found_from_the_narrowest_to_the_widest(tmp_path: Path) -> None:
    tolerances = load(
        tmp_path,
        MINIMAL
        + """\
  other: {kind: statements, folder: other}
tolerances:
  default: "1e-8"
  assets: {USD: 0.01, NO: 1}
  cumulative: "5"
  venues:
    dao:
      default: 0.5
      assets: {USD: "2"}
      cumulative: {default: "12", assets: {USD: "13"}}
      accounts:
        0x01:
          default: 3
          assets: {USD: 4}
          books: 7
""",
    ).tolerances
    found = {
        (venue, account, asset): tolerances.find(venue, account, asset)
        for venue in ("dao", "other")
        for account in ("0x01", "0x02")
        for asset in ("USD", "ETH", "NO")
    }
    assert found == {
        ("dao", "0x01", "USD"): Decimal(4),
        ("dao", "0x01", "ETH"): Decimal(3),
        ("dao", "0x01", "NO"): Decimal(3),
        ("dao", "0x02", "USD"): Decimal(2),
        ("dao", "0x02", "ETH"): Decimal("0.5"),
        ("dao", "0x02", "NO"): Decimal("0.5"),
        ("other", "0x01", "USD"): Decimal("0.01"),
        ("other", "0x01", "ETH"): Decimal("0.00000001"),
        ("other", "0x01", "NO"): Decimal(1),
        ("other", "0x02", "USD"): Decimal("0.01"),
        ("other", "0x02", "ETH"): Decimal("0.00000001"),
        ("other", "0x02", "NO"): Decimal(1),
    }
    assert [rule.rank for rule in tolerances.rules("dao")] == [1, 2, 3, 4, 5, 5, 6]
    assert tolerances.rules("dao", "cumulative") == (
        ToleranceRule(None, "USD", Decimal(13), 3),
        ToleranceRule(None, None, Decimal(12), 4),
        ToleranceRule(None, None, Decimal(5), 6),
    )
    assert tolerances.rules("other", "cumulative") == (ToleranceRule(None, None, Decimal(5), 6),)
    assert tolerances.find("dao", "0x01", "ETH", "books") == Decimal(7)
    assert tolerances.find("dao", "0x02", "ETH", "books") is None


def test_a_number_is_what_is_written_quoted_or_not(tmp_path: Path) -> None:
    longest = "999999999999999999.999999999999999999"
    for number in ("0.1", "1e-18", longest, "1E2", "0", "6.75e-7", "0.100000000000000000000"):
        for text in (number, f'"{number}"', f"'{number}'"):
            tolerances = load(tmp_path, MINIMAL + f"tolerances: {{default: {text}}}\n").tolerances
            assert tolerances.find("dao", "a", "b") == Decimal(number)


NOT_EXACT = ("1e-19", "0.1234567890123456789", "123456789012345678.1234567890123456789", "1e18", "1e999")
NOT_PLAIN = ("-1", "+1", "NaN", ".nan", ".inf", "1_000", "'1,000'", "0x10", "010", "1:30", ".5", "5.", "one", "true")
NOT_SCALAR = ("''", "~", "[1]", "{a: 1}", "!mine 1")


@pytest.mark.parametrize("number", NOT_EXACT + NOT_PLAIN + NOT_SCALAR)
def test_a_number_that_is_not_exact_and_plain_is_refused(tmp_path: Path, number: str) -> None:
    text = refusal(tmp_path, MINIMAL + f"tolerances:\n  assets:\n    USD: {number}\n")
    assert "recon.yaml, line 8: tolerances.assets.USD" in text
    assert 'expected: a number, zero or more, with at most 18 decimals, such as "0.01" or "1e-8"' in text


def test_a_known_key_left_empty_counts_as_left_out(tmp_path: Path) -> None:
    settings = load(tmp_path, MINIMAL + "tolerances:\n  default:\nopenings:\n")
    assert (settings.tolerances.entries, settings.openings) == ((), ())


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("mining_users: [foo]", "sha256:worker"),
        ("mining_users: [SHA256:worker]", "sha256:worker"),
        ('mining_users: ["sha256: worker"]', "sha256:worker"),
        ("mining_algorithms: [SHA256]", "sha256"),
        ("detail_symbols: [BTCUSDT]", "margin:BTCUSDT"),
        ("left_products: [spot]", None),
    ],
)
def test_a_text_of_another_form_than_a_stream_is_asked_with_is_refused(
    tmp_path: Path, setting: str, expected: str | None
) -> None:
    account = f"      main@example.com: {{credentials: main, {setting}}}\n"
    text = refusal(tmp_path, f"start: 2026-01-01\nvenues:\n  v:\n    kind: binance\n    accounts:\n{account}")
    assert f"recon.yaml, line 6: venues.v.accounts.main@example.com.{setting.partition(':')[0]}" in text
    assert f"such as {expected}" in text if expected else "expected: one of margin, futures" in text


@pytest.mark.parametrize(
    "setting", ["mining_users: [a:b, c:d, a:b]", "managed_subs: [one@example.com, one@example.com]"]
)
def test_what_is_named_twice_is_refused_for_it_would_be_asked_and_booked_twice(tmp_path: Path, setting: str) -> None:
    account = f"      main@example.com: {{credentials: main, {setting}}}\n"
    text = refusal(tmp_path, f"start: 2026-01-01\nvenues:\n  v:\n    kind: binance\n    accounts:\n{account}")
    assert f"stands twice in {setting.partition(':')[0]}" in text


def test_a_sandbox_that_is_left_blank_is_not_the_venue_itself(tmp_path: Path) -> None:
    account = "    accounts: {main@example.com: {credentials: main}}\n"
    text = refusal(tmp_path, f"start: 2026-01-01\nvenues:\n  v:\n    kind: binance\n{account}    sandbox:\n")
    assert "recon.yaml, line 6: venues.v.sandbox" in text
    assert "expected: the URL that recon sandbox printed" in text


@pytest.mark.parametrize(
    "place",
    [
        "{}",
        "{{{0}: {0}}}",
        "{{never_used: {}}}",
        "{{default_wallet: {}}}",
        "{{credentials: {}}}",
        "{{mining_users: [{}]}}",
        "[{}]",
    ],
)
def test_what_may_be_a_key_in_the_wrong_place_is_not_repeated(tmp_path: Path, place: str) -> None:
    key = "Not0A1Real2Key3" * 4
    account = f"    accounts:\n      main@example.com: {place.format(key)}\n"
    text = refusal(tmp_path, f"start: 2026-01-01\nvenues:\n  v:\n    kind: binance\n{account}")
    assert "recon.yaml, line 6: venues.v.accounts.main@example.com" in text
    assert "Not0A1" not in text


VENUE_KEYS = (
    "kind, folder, due_days, start, files, mapping, calendar, measures, accounts, sandbox, doubts, share_of_allowance,"
    " gone"
)
REFUSALS = {
    "an unknown key": (
        MINIMAL + "    calender: daily\n",
        f"""\
ConfigError: unknown key 'calender'
  where:    recon.yaml, line 6: venues.dao.calender
  expected: one of {VENUE_KEYS}
  next:     did you mean 'calendar'?""",
    ),
    "an unknown key at the top": (
        MINIMAL + "venue: {}\n",
        """\
ConfigError: unknown key 'venue'
  where:    recon.yaml, line 6: venue
  expected: one of start, venues, tolerances, severities, openings, prices
  next:     did you mean 'venues'?""",
    ),
    "a key that nothing resembles": (
        MINIMAL + "zzz: 1\n",
        """\
ConfigError: unknown key 'zzz'
  where:    recon.yaml, line 6: zzz
  expected: one of start, venues, tolerances, severities, openings, prices
  next:     correct line 6 of recon.yaml""",
    ),
    "a merge key": (
        MINIMAL + "    <<: {calendar: daily}\n",
        """\
ConfigError: a key that is no plain text
  where:    recon.yaml, line 6: venues.dao
  expected: a name, a colon and a value
  next:     correct line 6 of recon.yaml""",
    ),
    "a doubled key": (
        MINIMAL + "    kind: statements\n",
        """\
ConfigError: the key 'kind' stands twice
  where:    recon.yaml, line 6: venues.dao.kind
  expected: each key once (the first stands in line 4)
  next:     correct line 6 of recon.yaml""",
    ),
    "a missing key": (
        "start: 2026-01-01\nvenues:\n  dao:\n    kind: statements\n",
        """\
ConfigError: no 'folder'
  where:    recon.yaml, line 3: venues.dao
  expected: folder: the folder of its files
  next:     add folder""",
    ),
    "no venue": (
        "start: 2026-01-01\nvenues: {}\n",
        """\
ConfigError: no venue
  where:    recon.yaml, line 2: venues
  expected: at least one venue, each under its name
  next:     correct line 2 of recon.yaml""",
    ),
    "a venue without anything": (
        "start: 2026-01-01\nvenues:\n  dao:\n",
        f"""\
ConfigError: nothing where keys are due
  where:    recon.yaml, line 3: venues.dao
  expected: one of {VENUE_KEYS}
  next:     correct line 3 of recon.yaml""",
    ),
    "a name that no folder and no query could carry": (
        MINIMAL.replace("dao:", '"my dao":'),
        """\
ConfigError: 'my dao' cannot name a venue
  where:    recon.yaml, line 3: venues.my dao
  expected: a letter, then letters, digits and _ , at most 40 in all, other than 'marts'
  next:     rename it, for instance my_dao_1""",
    ),
    "a wrong type": (
        MINIMAL + "    due_days: [1]\n",
        """\
ConfigError: a list where a single value is due
  where:    recon.yaml, line 6: venues.dao.due_days
  expected: a whole number from 0 to 366
  next:     correct line 6 of recon.yaml""",
    ),
    "an unknown calendar": (
        MINIMAL + "    calendar: weekday\n",
        """\
ConfigError: 'weekday'
  where:    recon.yaml, line 6: venues.dao.calendar
  expected: one of daily, weekdays, stated
  next:     did you mean 'weekdays'?""",
    ),
    "an impossible day": (
        MINIMAL.replace("2026-01-01", "2026-02-30"),
        """\
ConfigError: '2026-02-30'
  where:    recon.yaml, line 1: start
  expected: a day as YYYY-MM-DD, such as 2026-01-31, from 2000-01-01 to 2199-12-31
  next:     correct line 1 of recon.yaml""",
    ),
    "a day at the end of the calendar": (
        MINIMAL.replace("2026-01-01", "0001-01-01"),
        """\
ConfigError: '0001-01-01'
  where:    recon.yaml, line 1: start
  expected: a day as YYYY-MM-DD, such as 2026-01-31, from 2000-01-01 to 2199-12-31
  next:     correct line 1 of recon.yaml""",
    ),
    "a negative tolerance": (
        MINIMAL + "tolerances:\n  assets:\n    USD: -0.01\n",
        """\
ConfigError: '-0.01'
  where:    recon.yaml, line 8: tolerances.assets.USD
  expected: a number, zero or more, with at most 18 decimals, such as "0.01" or "1e-8"
  next:     write it without signs and separators""",
    ),
    "a nineteenth decimal": (
        MINIMAL + 'tolerances: {default: "0.1000000000000000001"}\n',
        """\
ConfigError: '0.1000000000000000001'
  where:    recon.yaml, line 6: tolerances.default
  expected: a number, zero or more, with at most 18 decimals, such as "0.01" or "1e-8"
  next:     amounts hold 18 digits on each side of the point""",
    ),
    "a tolerance of an unknown venue": (
        MINIMAL + "tolerances: {venues: {doa: {default: 1}}}\n",
        """\
ConfigError: unknown key 'doa'
  where:    recon.yaml, line 6: tolerances.venues.doa
  expected: one of dao
  next:     did you mean 'dao'?""",
    ),
    "an opening of an unknown venue": (
        MINIMAL + "openings:\n- {venue: dax, account: a, wallet: w, date: 2026-02-01, note: lost}\n",
        """\
ConfigError: 'dax'
  where:    recon.yaml, line 7: openings[0].venue
  expected: one of dao
  next:     did you mean 'dao'?""",
    ),
    "an opening that says no why": (
        MINIMAL + "openings:\n- {venue: dao, account: a, wallet: w, date: 2026-02-01}\n",
        """\
ConfigError: no 'note'
  where:    recon.yaml, line 7: openings[0]
  expected: note: why the past cannot be mended; the verdict shows it
  next:     add note""",
    ),
    "a price source that is no venue": (
        MINIMAL + "prices: {sources: [coingecko]}\n",
        """\
ConfigError: 'coingecko'
  where:    recon.yaml, line 6: prices.sources[0]
  expected: one of dao
  next:     correct line 6 of recon.yaml""",
    ),
    "thresholds that fall": (
        MINIMAL + "severities: {medium_usd: 5000}\n",
        """\
ConfigError: medium_usd 5000 is above high_usd 1000
  where:    recon.yaml, line 6: severities.medium_usd
  expected: thresholds that rise with the severity
  next:     correct line 6 of recon.yaml""",
    ),
    "a share of one": (
        MINIMAL + "severities: {high_share: 1}\n",
        """\
ConfigError: high_share is 1
  where:    recon.yaml, line 6: severities.high_share
  expected: a share from 0 to below 1 with at most 9 decimals
  next:     correct line 6 of recon.yaml""",
    ),
    "a threshold too fine to decide by": (
        MINIMAL + 'severities: {low_usd_always: "0.0000000001"}\n',
        """\
ConfigError: low_usd_always is 0.0000000001
  where:    recon.yaml, line 6: severities.low_usd_always
  expected: an amount in USD with at most 9 decimals
  next:     correct line 6 of recon.yaml""",
    ),
    "files that nothing reads": (
        MINIMAL + "    files: {b: b.csv}\n",
        """\
ConfigError: files without a mapping
  where:    recon.yaml, line 6: venues.dao.files
  expected: mapping: the folder of SQL files that read them
  next:     add mapping, or remove files if they already have the canonical columns""",
    ),
    "a pattern that leads out of the folder": (
        MINIMAL + "    mapping: m\n    files: {b: ../b.csv}\n",
        """\
ConfigError: '../b.csv' leads out of the folder
  where:    recon.yaml, line 7: venues.dao.files.b
  expected: a pattern inside the venue's folder
  next:     correct line 7 of recon.yaml""",
    ),
    "views that differ by capital letters": (
        MINIMAL + "    mapping: m\n    files: {b: b.csv, B: c.csv}\n",
        """\
ConfigError: 'B' and 'b' name one view
  where:    recon.yaml, line 7: venues.dao.files.B
  expected: names that differ by more than capital letters
  next:     correct line 7 of recon.yaml""",
    ),
    "broken YAML": (
        MINIMAL + "openings: [\n",
        """\
ConfigError: not YAML: expected the node content, but found '<stream end>'
  where:    recon.yaml, line 7
  expected: one YAML document, in UTF-8
  next:     correct line 7 of recon.yaml""",
    ),
    "a file that opens and never closes": (
        100_000 * "[",
        """\
ConfigError: too many brackets within brackets
  where:    recon.yaml
  expected: one YAML document, in UTF-8
  next:     correct recon.yaml""",
    ),
    "an empty file": (
        "# nothing yet\n",
        """\
ConfigError: the file is empty
  where:    recon.yaml
  expected: one YAML document, in UTF-8
  next:     recon init writes one""",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_wrong_is_refused_with_its_line(tmp_path: Path, case: str) -> None:
    text, expected = REFUSALS[case]
    assert refusal(tmp_path, text) == expected


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(None, {"RECON_CONFIG": str(tmp_path / "none.yaml")})
    assert "cannot be read: No such file or directory" in caught.value.found
    assert caught.value.next_step == "recon init writes one"


def test_an_opening_is_read_with_its_note(tmp_path: Path) -> None:
    opening = "openings: [{venue: dao, account: 0x01, wallet: main, date: 2026-02-01, note: 'no: statements'}]\n"
    assert load(tmp_path, MINIMAL + opening).openings == (
        Opening("dao", "0x01", "main", date(2026, 2, 1), "no: statements"),
    )


def test_the_environment_says_where_the_data_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recon.yaml").write_text(MINIMAL, encoding="utf-8")
    default = load_settings(env={})
    assert (default.home, default.lake_url) == (tmp_path / ".recon", str(tmp_path / ".recon/lake"))
    assert (default.archive, default.database_url, default.path) == (
        tmp_path / ".recon/archive",
        None,
        tmp_path / "recon.yaml",
    )
    elsewhere = load(tmp_path, MINIMAL, RECON_HOME="/srv/recon", RECON_DATABASE_URL="postgresql://u:secret@db/recon")
    assert (elsewhere.home, elsewhere.lake_url) == (Path("/srv/recon"), "/srv/recon/lake")
    assert elsewhere.database_url == "postgresql://u:secret@db/recon"
    assert "secret" not in repr(elsewhere)
    assert load(tmp_path, MINIMAL, RECON_LAKE_URL="s3://bucket/lake").lake_url == "s3://bucket/lake"
    assert load(tmp_path, MINIMAL, RECON_LAKE_URL="lake").lake_url == str(Path("lake").absolute())


def test_the_template_of_recon_init_is_valid_as_it_stands_and_with_its_comments_removed(tmp_path: Path) -> None:
    settings = load(tmp_path, INIT_TEMPLATE)
    assert settings.tolerances.find("my_bank", "main", "USD") == Decimal("0.01")
    assert settings.tolerances.find("my_bank", "main", "BTC") == Decimal("0.00000001")
    without_hashes = re.sub(r"^( *)# (?=(?: *[\w-]+:)|- \{)", r"\1", INIT_TEMPLATE, flags=re.MULTILINE)
    everything = load(
        tmp_path, without_hashes.replace("recon.yaml: what", "# what").replace("openings: []", "openings:")
    )
    assert everything.tolerances.find("my_bank", "main", "EUR") == 0
    assert everything.tolerances.find("my_bank", "main", "JPY", "cumulative") == 5
    assert everything.severities == Severities()
    assert everything.openings[0].note == "statements before March are lost"
    assert everything.venues["my_bank"].measures == ("balance", "loan", "interest")
