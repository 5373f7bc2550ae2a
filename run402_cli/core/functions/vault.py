"""Encrypts the values of secrets for the database."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from run402_cli.core.settings import Settings

_SEALED = "aesgcm:v1:"
_NONCE, _TAG = 16, 16  # bytes; what is kept is nonce, tag, ciphertext


class Vault:
    """Encrypts values with a key that comes from the data directory's own secret. AES-256-GCM."""

    def __init__(self, settings: Settings) -> None:
        key = hmac.new(settings.jwt_secret.encode(), b"run402-core-function-secrets-v1", hashlib.sha256).digest()
        self._cipher = AESGCM(key)

    def seal(self, place: tuple[str, ...], value: str) -> str:
        """`value`, readable only for the same place (project, name, scope, function)."""
        nonce = secrets.token_bytes(_NONCE)
        sealed = self._cipher.encrypt(nonce, value.encode(), "\n".join(place).encode())
        return _SEALED + base64.urlsafe_b64encode(nonce + sealed[-_TAG:] + sealed[:-_TAG]).decode()

    def open(self, place: tuple[str, ...], text: str) -> str | None:
        """The value, or None when it was sealed with another key (the data directory got new secrets)."""
        if not text.startswith(_SEALED):
            return None
        data = base64.urlsafe_b64decode(text.removeprefix(_SEALED))
        nonce, tag, sealed = data[:_NONCE], data[_NONCE : _NONCE + _TAG], data[_NONCE + _TAG :]
        try:
            return self._cipher.decrypt(nonce, sealed + tag, "\n".join(place).encode()).decode()
        except (InvalidTag, ValueError):
            return None
