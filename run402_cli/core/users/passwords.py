"""Password hashes: scrypt with a salt of its own for each, in a form that says with which costs it was made."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from run402_cli.core.errors import GatewayError

MIN_LENGTH, MAX_LENGTH = 8, 256
# 16 MiB and about a tenth of a second: N = 2^14, r = 8, p = 5.
_LOG_N, _R, _P = 14, 8, 5
_MAX_MEMORY = 64 * 1024**2
# Each hash takes its memory and a core; more at once would only make all of them slower.
_workers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="scrypt")


def checked(value: Any, field: str = "password") -> str:
    """A password that may be set. 400 weak_password."""
    if not isinstance(value, str) or not MIN_LENGTH <= len(value) <= MAX_LENGTH:
        raise GatewayError(
            400,
            "weak_password",
            f"`{field}` must have {MIN_LENGTH} to {MAX_LENGTH} characters.",
            code="R402_AUTH_WEAK_PASSWORD",
            field=field,
        )
    return value


async def hashed(password: str) -> str:
    """`scrypt$<log2 N>$<r>$<p>$<salt>$<hash>`, base64."""
    salt = secrets.token_bytes(16)
    digest = await _scrypt(password, salt, _LOG_N, _R, _P)
    return "$".join(("scrypt", str(_LOG_N), str(_R), str(_P), _text(salt), _text(digest)))


async def matches(password: Any, stored: str | None) -> bool:
    """Is this the password? Takes as long when there is no user or no password, so the time does not tell."""
    given = password if isinstance(password, str) and len(password) <= MAX_LENGTH else ""
    if stored is None:
        await _scrypt(given, b"0" * 16, _LOG_N, _R, _P)
        return False
    _, log_n, r, p, salt, expected = stored.split("$")
    digest = await _scrypt(given, base64.b64decode(salt), int(log_n), int(r), int(p))
    return hmac.compare_digest(digest, base64.b64decode(expected))


async def _scrypt(password: str, salt: bytes, log_n: int, r: int, p: int) -> bytes:
    work = partial(hashlib.scrypt, password.encode(), salt=salt, n=1 << log_n, r=r, p=p, maxmem=_MAX_MEMORY, dklen=32)
    return await asyncio.get_running_loop().run_in_executor(_workers, work)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def wrong(message: str, status: int) -> GatewayError:
    """invalid_credentials, with a way back in."""
    return GatewayError(
        status,
        "invalid_credentials",
        f'{message} Try again, or ask for a link: POST /auth/v1/magic-link with intent "recovery".',
        code="R402_AUTH_INVALID_CREDENTIALS",
    )
