"""Keys: made, hashed, compared, signed; and secrets encrypted at rest.

Keys that we hand out carry 256 bits, so a plain SHA-256 is enough to store them; passwords that
people choose go through argon2 instead (Django's hashers).
"""

import base64
import hashlib
import hmac
import secrets
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings

from gridtalk.core.errors import SetupError


def key_new() -> str:
    """A new key to hand out once, url-safe, 43 characters."""
    return secrets.token_urlsafe(32)


def key_hash(key: str) -> str:
    """What is stored of a key: its SHA-256, 64 hex digits."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def key_matches(key: str, stored_hash: str) -> bool:
    """Whether the key is the stored one, compared in constant time; an empty hash matches none."""
    return bool(stored_hash) and hmac.compare_digest(key_hash(key), stored_hash)


def signature(purpose: str, text: str) -> str:
    """A signature of the text that only this installation can make, 32 hex digits."""
    message = f"{purpose}\n{text}".encode()
    return hmac.new(settings.SECRET_KEY.encode(), message, hashlib.sha256).hexdigest()[:32]


def signature_matches(purpose: str, text: str, given: str) -> bool:
    """Whether ``given`` is our signature of the text, compared in constant time."""
    return hmac.compare_digest(signature(purpose, text).encode(), given.encode("utf-8", "replace"))


@lru_cache(maxsize=4)
def _fernet(secret: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest()))


def encrypt(text: str) -> str:
    """The text encrypted with the installation's key (Fernet)."""
    return _fernet(settings.GRIDTALK_ENCRYPTION_KEY).encrypt(text.encode()).decode()


def decrypt(stored: str) -> str:
    """What :func:`encrypt` made, read again; :class:`SetupError` under another key."""
    try:
        return _fernet(settings.GRIDTALK_ENCRYPTION_KEY).decrypt(stored.encode()).decode()
    except InvalidToken as error:
        raise SetupError(
            "a stored password cannot be read: the secrets file is not the one it was stored with; "
            "put the old secrets file back, or enter the provider's password again"
        ) from error
