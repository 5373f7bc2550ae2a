"""An account as the API takes and shows it: address and data checked, nothing shown that opens it.

See docs/local-gateway-users.md.
"""

from __future__ import annotations

import json
import re
from typing import Any

from run402_cli.core.errors import GatewayError, bad_field
from run402_cli.core.users.user_rows import ADMIN, User
from run402_cli.core.web.instants import iso

MAX_EMAIL = 254
MAX_DATA_BYTES = 16 * 1024
_EMAIL = re.compile(r"[^@\s\x00-\x20<>,;\"\\]+@[^@\s\x00-\x20<>,;\"\\]+\.[^@\s\x00-\x20<>,;\"\\.]+")


def checked_email(value: Any, field: str = "email") -> str:
    """The address in lower case. 400 invalid_email."""
    email = value.strip().lower() if isinstance(value, str) else ""
    if len(email) > MAX_EMAIL or not _EMAIL.fullmatch(email) or not email.isprintable():
        raise GatewayError(
            400, "invalid_email", f"`{field}` must be an e-mail address, such as ada@example.com.", field=field
        )
    return email


def checked_data(data: Any) -> dict[str, Any]:
    """The application's own object. 400 invalid_request."""
    text = json.dumps(data, ensure_ascii=False)
    # PostgreSQL takes no null characters.
    if not isinstance(data, dict) or len(text.encode()) > MAX_DATA_BYTES or "\\u0000" in text:
        raise bad_field("data", f"a JSON object of at most {MAX_DATA_BYTES} bytes, without null characters")
    return data


def view(user: User) -> dict[str, Any]:
    """The user as the API shows it: nothing that opens the account."""
    return {
        "id": user.user_id,
        "email": user.email,
        "role": user.role,
        "is_admin": user.role == ADMIN,
        "email_verified_at": iso(user.email_verified_at),
        "has_password": user.password_hash is not None,
        "last_sign_in_at": iso(user.last_sign_in_at),
        "created_at": iso(user.created_at),
        "data": user.data,
    }
