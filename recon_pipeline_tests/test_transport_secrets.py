"""Where keys stand: the environment, files, the encrypted file; and that none of them shows."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keyring
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from keyring.backend import KeyringBackend
from keyring.backends import fail
from keyring.errors import PasswordDeleteError

from recon_pipeline.cli_secrets import secrets
from recon_pipeline.transport.credentials import CredentialsMissing, find_credentials
from recon_pipeline.transport.secret import Secret, without
from recon_pipeline.transport.secrets_file import SecretsError, SecretsFile
from recon_pipeline.transport.signing import CredentialsUnusable
from recon_pipeline_tests.transport_venue import KEY, SECRET

PASSPHRASE = "a passphrase that is long enough"
ENV = {"RECON_SECRETS_KEY": PASSPHRASE}


class MemoryKeyring(KeyringBackend):
    """A keyring that lasts as long as the test."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.entries.pop((service, username), None) is None:
            raise PasswordDeleteError(username)


@pytest.fixture(autouse=True)
def no_ring() -> Iterator[None]:
    """A machine without a keyring, whatever this one has."""
    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())  # type: ignore[no-untyped-call]
    yield
    keyring.set_keyring(before)


@pytest.fixture
def ring(no_ring: None) -> MemoryKeyring:
    memory = MemoryKeyring()
    keyring.set_keyring(memory)
    return memory


def test_secrets_are_stored_found_listed_and_removed(tmp_path: Path) -> None:
    store = SecretsFile(tmp_path / "home", ENV)
    assert store.names() == ()
    assert not store.set("BINANCE_MAIN_KEY", Secret(KEY))
    assert not store.set("binance_main_secret", Secret(SECRET))
    assert store.set("binance_main_key", Secret(KEY[::-1]))
    again = SecretsFile(tmp_path / "home", ENV)
    assert again.names() == ("binance_main_key", "binance_main_secret")
    assert again.get("Binance_Main_Key") == Secret(KEY[::-1])
    again.remove("binance_main_key")
    assert again.get("binance_main_key") is None
    with pytest.raises(SecretsError, match="there is no secret") as refused:
        again.remove("binance_main_key")
    assert "binance_main_secret" in str(refused.value)


def test_the_file_shows_nothing_and_to_nobody_else(tmp_path: Path) -> None:
    store = SecretsFile(tmp_path, ENV)
    store.set("binance_main_secret", Secret(SECRET))
    content = store.path.read_bytes()
    for text in (SECRET, "binance_main", PASSPHRASE):
        assert text.encode() not in content
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"secrets.enc", "secrets.lock"}
    assert SECRET not in repr(store) + str(vars(store))


def test_a_wrong_passphrase_and_a_changed_file_are_named(tmp_path: Path) -> None:
    store = SecretsFile(tmp_path, ENV)
    store.set("a_key", Secret(KEY))
    with pytest.raises(SecretsError, match="does not open"):
        SecretsFile(tmp_path, {"RECON_SECRETS_KEY": PASSPHRASE + "?"}).names()
    written = json.loads(store.path.read_text())
    for name, value, said in (
        ("data", written["nonce"], "does not open"),
        ("salt", written["nonce"], "does not open"),
        ("n", 2**14, "does not open"),
        ("n", 2**40, "damaged"),
        ("version", 2, "later release"),
        ("nonce", None, "damaged"),
    ):
        store.path.write_text(json.dumps(written | {name: value}))
        with pytest.raises(SecretsError, match=said):
            store.names()
    store.path.write_text("{")
    with pytest.raises(SecretsError, match="damaged"):
        store.names()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 3),
        ("n", 0),
        ("n", "32768"),
        ("nonce", "AAAA"),
        ("nonce", ""),
        ("nonce", "é"),
        ("salt", "é"),
        ("salt", 5),
        ("salt", None),
        ("salt", "AAA"),
        ("data", 5),
    ],
)
def test_a_damaged_file_is_named_whatever_of_it_is_damaged(tmp_path: Path, name: str, value: object) -> None:
    store = SecretsFile(tmp_path, ENV)
    store.set("a_key", Secret(KEY))
    written = json.loads(store.path.read_text())
    store.path.write_text(json.dumps(written | {name: value}))
    with pytest.raises(SecretsError, match="damaged") as refused:
        store.names()
    assert (refused.value.where, refused.value.__cause__) == (str(store.path), None)
    store.path.write_text(json.dumps(written))
    assert store.names() == ("a_key",)


def test_a_weak_or_missing_passphrase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecretsError, match="short"):
        SecretsFile(tmp_path, {"RECON_SECRETS_KEY": "hunter2"}).set("a", Secret(KEY))
    with pytest.raises(SecretsError, match="both set"):
        SecretsFile(tmp_path, ENV | {"RECON_SECRETS_KEY_FILE": "x"}).set("a", Secret(KEY))
    with pytest.raises(SecretsError, match="no keyring") as refused:
        SecretsFile(tmp_path, {}).set("a", Secret(KEY))
    assert "RECON_SECRETS_KEY" in str(refused.value)
    assert not (tmp_path / "secrets.enc").exists()
    for name in ("1a", "a-b", "", "a" * 101):
        with pytest.raises(SecretsError, match="cannot name"):
            SecretsFile(tmp_path, ENV).set(name, Secret(KEY))
    with pytest.raises(SecretsError, match="empty"):
        SecretsFile(tmp_path, ENV).set("a", Secret(" \n"))


def test_the_passphrase_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "passphrase").write_text(PASSPHRASE + "\n")
    SecretsFile(tmp_path, {"RECON_SECRETS_KEY_FILE": str(tmp_path / "passphrase")}).set("a", Secret(KEY))
    assert SecretsFile(tmp_path, ENV).get("a") == Secret(KEY)
    with pytest.raises(SecretsError, match="cannot be read"):
        SecretsFile(tmp_path, {"RECON_SECRETS_KEY_FILE": str(tmp_path / "gone")}).names()


def test_rotating_makes_the_old_passphrase_useless(tmp_path: Path) -> None:
    store = SecretsFile(tmp_path, ENV)
    store.set("a", Secret(KEY))
    before = store.path.read_bytes()
    with pytest.raises(SecretsError, match="short"):
        store.rotate(Secret("short"))
    with pytest.raises(SecretsError, match="several lines"):
        store.rotate(Secret("another passphrase, as long\nanother passphrase, as long"))
    with pytest.raises(SecretsError, match="missing"):
        store.rotate()
    assert store.path.read_bytes() == before
    assert not store.rotate(Secret("another passphrase, as long"))
    with pytest.raises(SecretsError, match="does not open"):
        store.get("a")
    assert SecretsFile(tmp_path, {"RECON_SECRETS_KEY": "another passphrase, as long"}).get("a") == Secret(KEY)


def test_the_keyring_holds_the_key_where_the_environment_does_not(tmp_path: Path, ring: MemoryKeyring) -> None:
    store = SecretsFile(tmp_path, {})
    store.set("a", Secret(KEY))
    (first,) = ring.entries.values()
    assert store.rotate()
    (second,) = ring.entries.values()
    assert first != second
    assert SecretsFile(tmp_path, {}).get("a") == Secret(KEY)


def test_a_rotation_that_was_cut_off_loses_nothing(
    tmp_path: Path, ring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SecretsFile(tmp_path, {})
    store.set("a", Secret(KEY))
    kept = ring.set_password
    for allowed in (1, 2):  # of the entries that a rotation writes, so many are written before the power fails
        written = 0

        def failing(service: str, username: str, password: str, allowed: int = allowed) -> None:
            nonlocal written
            written += 1
            if written > allowed:
                raise KeyboardInterrupt
            kept(service, username, password)

        monkeypatch.setattr(ring, "set_password", failing)
        with pytest.raises(KeyboardInterrupt):
            store.rotate()
        monkeypatch.undo()
        assert SecretsFile(tmp_path, {}).get("a") == Secret(KEY)
        store.set("b", Secret(KEY))
        assert SecretsFile(tmp_path, {}).names() == ("a", "b")
    assert store.rotate()
    assert SecretsFile(tmp_path, {}).names() == ("a", "b")


def test_many_who_store_at_once_lose_nothing(tmp_path: Path) -> None:
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda i: SecretsFile(tmp_path, ENV).set(f"key_{i}", Secret(KEY)), range(6)))
    assert SecretsFile(tmp_path, ENV).names() == tuple(f"key_{i}" for i in range(6))


# -- credentials


def test_credentials_come_from_the_first_place_that_has_them(tmp_path: Path) -> None:
    SecretsFile(tmp_path, ENV).set("binance_main_key", Secret("stored-key"))
    SecretsFile(tmp_path, ENV).set("binance_main_secret", Secret("stored-secret"))
    (tmp_path / "secret.txt").write_text("a-secret-in-a-file\n")
    variables = {"BINANCE_MAIN_KEY": "a-key-of-the-environment", "BINANCE_MAIN_SECRET_FILE": f"{tmp_path}/secret.txt"}
    found = find_credentials("main@example.com", "binance_main", SecretsFile(tmp_path, ENV | variables))
    assert (found.key.reveal(), found.secret.reveal()) == ("a-key-of-the-environment", "a-secret-in-a-file")
    stored = find_credentials("main@example.com", "binance_main", SecretsFile(tmp_path, ENV))
    assert (stored.account, stored.key.reveal(), stored.secret.reveal()) == (
        "main@example.com", "stored-key", "stored-secret",
    )  # fmt: skip
    for text in ("stored-key", "stored-secret", "a-secret-in-a-file"):
        assert text not in f"{found} {found!r} {stored} {stored!r}"


def test_an_account_without_a_key_is_told_where_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(CredentialsMissing) as missing:
        find_credentials("main@example.com", "binance_main", SecretsFile(tmp_path, {"BINANCE_MAIN_KEY": KEY}))
    for part in ("main@example.com", "BINANCE_MAIN_SECRET_FILE", "recon secrets set binance_main_secret"):
        assert part in str(missing.value)
    both = {"BINANCE_MAIN_KEY": KEY, "BINANCE_MAIN_KEY_FILE": "x"}
    with pytest.raises(CredentialsUnusable, match="both set"):
        find_credentials("main@example.com", "binance_main", SecretsFile(tmp_path, both))
    with pytest.raises(SecretsError, match="no key to the file"):
        SecretsFile(tmp_path, ENV).set("binance_main_key", Secret(KEY))
        find_credentials("main@example.com", "binance_main", SecretsFile(tmp_path, {}))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"{KEY}\n{SECRET}", "the value has 2 lines"),
        (f"{KEY[:20]}\N{ZERO WIDTH SPACE}{KEY[20:]}", "a letter that is not ASCII"),
        (f"{KEY} # read-only", "holds a blank"),
    ],
)
def test_what_cannot_be_a_key_is_refused_before_it_is_sent(tmp_path: Path, text: str, found: str) -> None:
    file = tmp_path / "key.txt"
    file.write_text(text, encoding="utf-8")
    SecretsFile(tmp_path, ENV).set("b_key", Secret(text))
    rest = {"A_SECRET": SECRET, "B_SECRET": SECRET}
    of_file, of_store = ({"A_KEY_FILE": str(file)}, "a", "A_KEY_FILE"), (ENV, "b", "secrets.enc")
    for given, name, place in (of_file, of_store, ({"A_KEY": text}, "a", "A_KEY")):
        with pytest.raises(CredentialsUnusable, match=found) as refused:
            find_credentials("main@example.com", name, SecretsFile(tmp_path, rest | given))
        told = str(refused.value)
        assert all(part in told for part in ("main@example.com", f"{name}_key", place))
        assert KEY[:20] not in told


def test_an_empty_file_of_a_secret_is_told_as_such_and_one_that_begins_with_a_mark_is_read(tmp_path: Path) -> None:
    file = tmp_path / "key.txt"
    file.write_text("\n")
    given = {"A_KEY_FILE": str(file), "A_SECRET": SECRET}
    with pytest.raises(CredentialsMissing, match="the file of a secret is empty") as empty:
        find_credentials("main@example.com", "a", SecretsFile(tmp_path, given))
    assert str(file) in str(empty.value)
    assert "unset A_KEY_FILE" in str(empty.value)
    file.write_text(f"{KEY}\n", encoding="utf-8-sig")
    assert find_credentials("main@example.com", "a", SecretsFile(tmp_path, given)).key == Secret(KEY)


def _pem() -> str:
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return ed25519.Ed25519PrivateKey.generate().private_bytes(*form).decode()


@pytest.mark.parametrize(
    "echo",
    [
        "ab/cd+ef==",
        "ab%2Fcd%2Bef%3D%3D",
        "ab%2fcd%2bef%3d%3d",
        "ab/cd%2Bef%3D%3D",
        r"ab\/cd+ef==",
        r"ab/cd\u002bef\u003D=",
    ],
)
def test_a_signature_is_starred_in_every_spelling(echo: str) -> None:
    assert without(f"signature={echo}&more", ["ab/cd+ef=="]) == "signature=***&more"
    assert without(echo[:-1], ["ab/cd+ef=="]) == echo[:-1]


def test_a_private_key_is_a_secret_too(tmp_path: Path) -> None:
    pem = _pem()
    in_one_line = pem.replace("\n", "\\n")
    both = [{"A_KEY": KEY, "A_SECRET": secret} for secret in (pem, in_one_line)]
    first, second = (find_credentials("main@example.com", "a", SecretsFile(tmp_path, env)) for env in both)
    assert first.signed(b"x=1") == second.signed(b"x=1")
    with pytest.raises(CredentialsUnusable, match="cannot be read"):
        env = {"A_KEY": KEY, "A_SECRET": pem[:60]}
        find_credentials("main@example.com", "a", SecretsFile(tmp_path, env))


# -- the command


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("RECON_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RECON_SECRETS_KEY", PASSPHRASE)
    return CliRunner()


def test_the_command_reads_values_from_stdin_and_never_shows_them(command: CliRunner, tmp_path: Path) -> None:
    pem = _pem()
    told = [
        command.invoke(secrets, ["list"]),
        command.invoke(secrets, ["set", "BINANCE_MAIN_KEY"], input=KEY + "\n"),
        command.invoke(secrets, ["set", "binance_main_secret"], input=pem),
        command.invoke(secrets, ["set", "binance_main_key"], input=KEY),
        command.invoke(secrets, ["list"]),
        command.invoke(secrets, ["list", "--json"]),
        command.invoke(secrets, ["remove", "binance_main_key"]),
        command.invoke(secrets, ["rotate"], input="another passphrase, as long\n"),
    ]
    assert [each.output.strip() for each in told] == [
        "none yet: recon secrets set NAME",
        "stored binance_main_key",
        "stored binance_main_secret",
        "replaced binance_main_key",
        "binance_main_key\nbinance_main_secret",
        '{"exit_code": 0, "secrets": ["binance_main_key", "binance_main_secret"]}',
        "removed binance_main_key",
        "encrypted anew; set RECON_SECRETS_KEY to the new passphrase wherever recon runs",
    ]
    found = SecretsFile(tmp_path / "home", {"RECON_SECRETS_KEY": "another passphrase, as long"})
    assert found.get("binance_main_secret") == Secret(pem.strip())


def test_the_command_stores_nothing_that_cannot_be_a_key(command: CliRunner, tmp_path: Path) -> None:
    refused = command.invoke(secrets, ["set", "binance_main_key"], input=f"{KEY}\n{SECRET}\n")
    assert isinstance(refused.exception, CredentialsUnusable)
    assert KEY not in str(refused.exception)
    assert command.invoke(secrets, ["list"]).output.strip() == "none yet: recon secrets set NAME"


def test_the_value_cannot_be_an_argument(command: CliRunner) -> None:
    assert command.invoke(secrets, ["set", "binance_main_key", KEY]).exit_code == 2
    for name in ("set", "list", "rotate", "remove"):
        assert command.invoke(secrets, [name, "--help"]).output.count("\n") > 2
    assert os.environ["RECON_SECRETS_KEY"] == PASSPHRASE
