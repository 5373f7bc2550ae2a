"""What an account is made of, checked: an e-mail address, and the application's own data. See docs/local-gateway-users.md."""

from __future__ import annotations

import json
import re
from typing import Any

from run402_cli.core.errors import GatewayError

MAX_EMAIL = 254
MAX_DATA_BYTES = 16 * 1024
_EMAIL = re.compile(r"[^@\s\x00-\x20<>,;\"\\]+@[^@\s\x00-\x20<>,;\"\\]+\.[^@\s\x00-\x20<>,;\"\\.]+")


def checked_email(value: Any, field: str = "email") -> str:
    """The address in lower case. 400 invalid_email."""
    email = value.strip().lower() if isinstance(value, str) else ""
    if len(email) > MAX_EMAIL or not _EMAIL.fullmatch(email) or not email.isprintable():
        raise GatewayError(
            400,
            "invalid_email",
            f"`{field}` must be an e-mail address, such as ada@example.com.",
            code="INVALID_EMAIL",
            field=field,
        )
    return email


def checked_data(data: Any) -> dict[str, Any]:
    """The application's own object. 400 invalid_request."""
    text = json.dumps(data, ensure_ascii=False)
    # PostgreSQL takes no null characters.
    if not isinstance(data, dict) or len(text.encode()) > MAX_DATA_BYTES or "\\u0000" in text:
        raise GatewayError(
            400,
            "invalid_request",
            f"`data` must be a JSON object of at most {MAX_DATA_BYTES} bytes, without null characters.",
            field="data",
        )
    return data
