"""Keys, signatures, and what is encrypted at rest."""

import pytest
from django.conf import LazySettings

from gridtalk.core import secrets
from gridtalk.core.errors import SetupError


def test_a_key_is_long_url_safe_and_never_the_same() -> None:
    keys = {secrets.key_new() for _ in range(50)}
    assert len(keys) == 50
    for key in keys:
        assert len(key) == 43
        assert key.replace("-", "").replace("_", "").isalnum()


def test_a_key_matches_its_hash_alone() -> None:
    key = secrets.key_new()
    stored = secrets.key_hash(key)
    assert len(stored) == 64
    assert key not in stored
    assert secrets.key_matches(key, stored)
    assert not secrets.key_matches(f"{key} ", stored)
    assert not secrets.key_matches("", stored)


@pytest.mark.parametrize("key", ["", "x", "\ud800"])
def test_where_no_key_is_stored_none_matches(key: str) -> None:
    assert not secrets.key_matches(key, "")


def test_a_signature_is_of_its_purpose_text_and_installation(settings: LazySettings) -> None:
    signature = secrets.signature("report", "1")
    assert secrets.signature_matches("report", "1", signature)
    assert not secrets.signature_matches("report", "2", signature)
    assert not secrets.signature_matches("other", "1", signature)
    for wrong in ("", "é", "\ud800", signature[:-1]):
        assert not secrets.signature_matches("report", "1", wrong)
    settings.SECRET_KEY = "another"
    assert not secrets.signature_matches("report", "1", signature)


@pytest.mark.parametrize("text", ["secret", "", "passwört ₦", "x" * 10_000])
def test_what_is_encrypted_is_read_again_and_never_the_same(text: str) -> None:
    first, second = secrets.encrypt(text), secrets.encrypt(text)
    assert first != second
    assert not text or text not in first
    assert secrets.decrypt(first) == secrets.decrypt(second) == text


def test_another_installations_secret_says_what_to_do(settings: LazySettings) -> None:
    stored = secrets.encrypt("secret")
    settings.GRIDTALK_ENCRYPTION_KEY = "another"
    with pytest.raises(SetupError, match="secrets file"):
        secrets.decrypt(stored)
    with pytest.raises(SetupError, match="secrets file"):
        secrets.decrypt("no token at all")
