"""Secrets in one encrypted file, for machines where the environment is not the place for them.

`<home>/secrets.enc`, mode 0600: JSON whose entries are encrypted together (AES-256-GCM) under a key that scrypt makes
of a passphrase. The passphrase is RECON_SECRETS_KEY (or the file that RECON_SECRETS_KEY_FILE names), else one that was
made by chance and stands in the system's keyring. The names stand in the encrypted part too.

A change is written beside the file and moved over it: whoever is killed leaves the old file or the new one.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import re
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from recon_pipeline.errors import ConfigError
from recon_pipeline.transport.secret import Secret

PASSPHRASE = "RECON_SECRETS_KEY"  # noqa: S105 - the name of a variable
FILE_NAME = "secrets.enc"
_SERVICE = "recon-pipeline"
_NEXT = " (next)"
_VERSION = 1
_SCRYPT = {"n": 2**15, "r": 8, "p": 1}
_SCRYPT_MAX = {"n": 2**20, "r": 32, "p": 16}
_PASSPHRASE_LENGTH_MIN = 16
_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")


class SecretsError(ConfigError):
    """The file of secrets cannot be opened, or what was asked of it cannot be done."""


class SecretsFile:
    """The encrypted file of a home."""

    def __init__(self, home: Path, env: Mapping[str, str] = os.environ) -> None:
        self.path = home / FILE_NAME
        self.env = env
        self._keys: dict[tuple[str, str], bytes] = {}
        """What scrypt made: it is slow on purpose, and the file is read for every account."""
        self._opened_by: str | None = None

    def __repr__(self) -> str:
        return f"SecretsFile({self.path})"

    def names(self) -> tuple[str, ...]:
        """The names of all secrets, sorted."""
        return tuple(sorted(self._read()))

    def get(self, name: str) -> Secret | None:
        """The secret of that name, in any case; None if there is none."""
        text = self._read().get(name.lower())
        return None if text is None else Secret(text)

    def set(self, name: str, secret: Secret) -> bool:
        """Store a secret; True if there was one of that name, which is gone then."""
        name = _checked(name)
        if not secret.reveal().strip():
            raise SecretsError("the value is empty", where=f"the secret {name}", expected="the key or secret itself")
        with self._locked():
            entries = self._read()
            was_there = name in entries
            self._write(entries | {name: secret.reveal()}, self._passphrase_to_write())
        return was_there

    def remove(self, name: str) -> None:
        """Forget a secret."""
        with self._locked():
            entries = self._read()
            if entries.pop(name.lower(), None) is None:
                known = ", ".join(sorted(entries)) or "none yet"
                raise SecretsError(
                    f"there is no secret {name.lower()}",
                    where=str(self.path),
                    expected=known,
                    next_step="correct the name; recon secrets list shows those that are stored",
                )
            self._write(entries, self._passphrase_to_write())

    def rotate(self, passphrase: Secret | None = None) -> bool:
        """Encrypt everything anew under another passphrase, or without one under the keyring's next.

        True if the keyring holds it; else the caller's environment has to name it from now on.
        """
        with self._locked():
            entries = self._read()
            if passphrase is None and not self._from_environment():
                if self._opened_by is not None:  # a rotation that was cut off may have left it the next one
                    self._keep_in_keyring("", self._opened_by)
                fresh = secrets.token_urlsafe(32)
                self._keep_in_keyring(_NEXT, fresh)
                self._write(entries, fresh)
                self._keep_in_keyring("", fresh)
                self._forget_in_keyring(_NEXT)
                return True
            if passphrase is None:
                raise SecretsError(
                    "the new passphrase is missing", where=PASSPHRASE, expected="a new one, from the prompt or stdin"
                )
            self._write(entries, _in_one_line(_strong(passphrase.reveal())))
            return False

    # -- the passphrase

    def _from_environment(self) -> str | None:
        given, file = self.env.get(PASSPHRASE), self.env.get(f"{PASSPHRASE}_FILE")
        if given and file:
            raise SecretsError(
                f"{PASSPHRASE} and {PASSPHRASE}_FILE are both set", where="environment", expected="one of the two"
            )
        return _strong(read_text(Path(file), f"{PASSPHRASE}_FILE")) if file else _strong(given) if given else None

    def _passphrase_to_write(self) -> str:
        """The one under which the file was read; for the first file one is made where there is none."""
        if self._opened_by is not None:
            return self._opened_by
        if self._from_environment() is None and not self._from_keyring():
            self._keep_in_keyring("", secrets.token_urlsafe(32))
        return self._passphrases()[0]

    def _passphrases(self) -> tuple[str, ...]:
        """Those that may open the file, the likeliest first."""
        if given := self._from_environment():
            return (given,)
        if known := self._from_keyring():
            return known
        raise SecretsError(
            "there is no key to the file of secrets",
            where=str(self.path),
            expected=f"{PASSPHRASE}, {PASSPHRASE}_FILE, or an entry of the system's keyring",
            next_step=f"set {PASSPHRASE} to the passphrase under which it was written",
        )

    def _from_keyring(self) -> tuple[str, ...]:
        """The present one; the next one too, where a rotation was cut off."""
        import keyring
        from keyring.errors import KeyringError

        try:
            found = [keyring.get_password(_SERVICE, self._entry(suffix)) for suffix in ("", _NEXT)]
        except KeyringError:
            return ()
        return tuple(each for each in found if each)

    def _forget_in_keyring(self, suffix: str) -> None:
        import keyring
        from keyring.errors import KeyringError

        with suppress(KeyringError):
            keyring.delete_password(_SERVICE, self._entry(suffix))

    def _keep_in_keyring(self, suffix: str, passphrase: str) -> None:
        import keyring
        from keyring.errors import KeyringError

        try:
            keyring.set_password(_SERVICE, self._entry(suffix), passphrase)
        except KeyringError:
            raise SecretsError(
                "this system has no keyring that could hold the key to the file of secrets",
                where="keyring",
                expected=f"{PASSPHRASE} in the environment: a passphrase of {_PASSPHRASE_LENGTH_MIN} letters or more",
                next_step=f"set {PASSPHRASE} (or {PASSPHRASE}_FILE) wherever recon runs, then do it again",
            ) from None

    def _entry(self, suffix: str) -> str:
        return f"{self.path.absolute()}{suffix}"

    # -- the file

    def _read(self) -> dict[str, str]:
        self._opened_by = None
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise SecretsError(
                f"the file of secrets cannot be read: {error.strerror}", where=str(self.path),
                expected="a file that this user may read",
            ) from None  # fmt: skip
        header, nonce, packed = self._parts(content)
        for passphrase in self._passphrases():
            try:
                opened = AESGCM(self._key(passphrase, header)).decrypt(nonce, packed, _bound(header))
            except InvalidTag:
                continue
            except (ValueError, TypeError):  # a salt, a cost or a nonce that no release wrote
                raise self._damaged() from None
            entries: dict[str, str] = json.loads(opened)
            self._opened_by = passphrase
            return entries
        raise SecretsError(
            "the file of secrets does not open",
            where=str(self.path),
            expected="the passphrase under which it was written, and the file as it was written",
            next_step=f"correct {PASSPHRASE}; if the passphrase is lost, remove the file and set the secrets anew",
        )

    def _parts(self, content: bytes) -> tuple[dict[str, Any], bytes, bytes]:
        try:
            written = json.loads(content)
            header = {name: written[name] for name in ("version", "kdf", "salt", *_SCRYPT)}
            of_this_release = header["version"] == _VERSION and header["kdf"] == "scrypt"
            is_sound = of_this_release and all(
                isinstance(header[name], int) and 0 < header[name] <= most for name, most in _SCRYPT_MAX.items()
            )
            if is_sound:
                return header, base64.b64decode(written["nonce"]), base64.b64decode(written["data"])
        except (ValueError, LookupError, TypeError):
            pass
        raise self._damaged()

    def _damaged(self) -> SecretsError:
        return SecretsError(
            "the file of secrets is damaged, or of a later release",
            where=str(self.path),
            expected=f"a file that recon secrets set wrote (version {_VERSION})",
            next_step="restore it, or remove it and set the secrets anew",
        )

    def _write(self, entries: Mapping[str, str], passphrase: str) -> None:
        salt, nonce = os.urandom(16), os.urandom(12)
        header = {"version": _VERSION, "kdf": "scrypt", **_SCRYPT, "salt": base64.b64encode(salt).decode()}
        packed = AESGCM(self._key(passphrase, header)).encrypt(
            nonce, json.dumps(dict(entries)).encode(), _bound(header)
        )
        sealed = {"nonce": base64.b64encode(nonce).decode(), "data": base64.b64encode(packed).decode()}
        handle, staged = tempfile.mkstemp(dir=self.path.parent, prefix=f".{FILE_NAME}.")  # mode 0600
        try:
            with os.fdopen(handle, "w") as out:
                json.dump(header | sealed, out)
                out.flush()
                os.fsync(out.fileno())
            Path(staged).replace(self.path)
        except BaseException:
            Path(staged).unlink(missing_ok=True)
            raise

    def _key(self, passphrase: str, header: Mapping[str, Any]) -> bytes:
        made_of = (passphrase, json.dumps(dict(header), sort_keys=True))
        if made_of not in self._keys:
            salt = base64.b64decode(header["salt"])
            scrypt = Scrypt(salt=salt, length=32, n=header["n"], r=header["r"], p=header["p"])
            self._keys[made_of] = scrypt.derive(passphrase.encode())
        return self._keys[made_of]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def read_text(path: Path, where: str) -> str:
    """A secret that a file holds, without the line's end; SecretsError if it cannot be read."""
    try:
        return path.expanduser().read_text(encoding="utf-8-sig").strip()  # some editors begin a file with a mark
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SecretsError(
            f"the file of a secret cannot be read: {reason}", where=f"{where}: {path}",
            expected="a text file that this user may read",
        ) from None  # fmt: skip


def _checked(name: str) -> str:
    lower = name.lower()
    if not _NAME.fullmatch(lower):
        raise SecretsError(
            f"'{name}' cannot name a secret", where="recon secrets",
            expected="a letter, then letters, digits and _, as binance_main_key",
        )  # fmt: skip
    return lower


def _in_one_line(passphrase: str) -> str:
    """Who types a new one twice, as elsewhere, would have two lines, and never open the file again."""
    if passphrase.splitlines() == [passphrase]:
        return passphrase
    raise SecretsError("the new passphrase has several lines", where=PASSPHRASE, expected="one line, given once")


def _strong(passphrase: str) -> str:
    if len(passphrase) >= _PASSPHRASE_LENGTH_MIN:
        return passphrase
    raise SecretsError(
        "the passphrase of the secrets is short",
        where=PASSPHRASE,
        expected=f"{_PASSPHRASE_LENGTH_MIN} letters or more, made by chance",
        next_step='make one, for instance with: python3 -c "import secrets; print(secrets.token_urlsafe(32))"',
    )


def _bound(header: Mapping[str, Any]) -> bytes:
    """What is not encrypted cannot be changed either."""
    return json.dumps(dict(header), sort_keys=True).encode()
