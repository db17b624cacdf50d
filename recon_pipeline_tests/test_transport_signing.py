"""Signatures against the venue's published vectors and against the public halves of fresh keys."""

from __future__ import annotations

import base64
import pickle
from decimal import Decimal
from urllib.parse import parse_qsl

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from recon_pipeline.errors import ConfigError
from recon_pipeline.transport.secret import Secret, without
from recon_pipeline.transport.signing import Params, encoded, signer

PUBLISHED_SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
ORDER: Params = {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": 1, "price": Decimal("0.1")}
STAMP = {"recvWindow": 5000, "timestamp": 1499827319559}


@pytest.mark.parametrize(
    ("symbol", "signature"),
    [
        ("LTCBTC", "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"),
        ("１２３４５６", "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3"),
    ],
)
def test_the_published_vectors(symbol: str, signature: str) -> None:
    payload = encoded({"symbol": symbol, **ORDER, **STAMP})
    assert signer(PUBLISHED_SECRET)(payload.encode()) == signature


def test_what_is_signed_is_percent_encoded_first() -> None:
    params: Params = {"email": "desk+1@example.com", "symbols": ["BTCUSDT", "BNBUSDT"], "all": True, "left_out": None}
    assert encoded(params) == "email=desk%2B1%40example.com&symbols=%5B%22BTCUSDT%22%2C%22BNBUSDT%22%5D&all=true"


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_the_venue_reads_back_what_was_asked(params: dict[str, str]) -> None:
    text = encoded(params)
    assert text.isascii()
    assert dict(parse_qsl(text, keep_blank_values=True, strict_parsing=bool(params))) == params


def _pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def test_rsa_and_ed25519_keys_sign_by_their_pem() -> None:
    of_rsa, of_ed25519 = rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()
    payload = b"timestamp=1"
    signature = base64.b64decode(signer(_pem(of_rsa))(payload))
    of_rsa.public_key().verify(signature, payload, padding.PKCS1v15(), hashes.SHA256())
    of_ed25519.public_key().verify(base64.b64decode(signer(_pem(of_ed25519) + "\n")(payload)), payload)


def test_a_private_key_that_cannot_be_used_is_refused_without_a_word_of_it() -> None:
    of_other_type = _pem(ec.generate_private_key(ec.SECP256R1()))
    for pem in ("-----BEGIN PRIVATE KEY-----\nMIIBVgIBADANBg\n-----END PRIVATE KEY-----", of_other_type):
        with pytest.raises(ConfigError, match="RSA or Ed25519") as refused:
            signer(pem)
        assert pem.splitlines()[1] not in str(refused.value)
        assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret(PUBLISHED_SECRET)
    assert PUBLISHED_SECRET not in f"{secret} {secret!r} {secret:>20} {[secret]} {vars(type(secret))}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert secret.reveal() == PUBLISHED_SECRET


def test_a_text_is_cleaned_of_a_secret_in_every_spelling() -> None:
    secret = "ab/cd+ef=="
    assert without(f"a={secret}&b=ab%2Fcd%2Bef%3D%3D&c=ok", [secret, ""]) == "a=***&b=***&c=ok"
