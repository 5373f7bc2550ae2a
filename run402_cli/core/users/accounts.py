"""An account as the API takes and shows it: address and data checked, nothing shown that opens it.

See docs/local-gateway-users.md.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

from starlette.responses import Response

from run402_cli.core.errors import GatewayError, bad_field
from run402_cli.core.users.user_rows import ADMIN, User
from run402_cli.core.web.http import reply
from run402_cli.core.web.instants import iso

MAX_EMAIL = 254
# Japanese, Korean and Chinese are written with several scripts, and with Latin.
_WRITTEN_TOGETHER = (
    frozenset({"LATIN", "CJK", "HIRAGANA", "KATAKANA"}),
    frozenset({"LATIN", "CJK", "HANGUL"}),
    frozenset({"LATIN", "CJK", "BOPOMOFO"}),
)
MAX_DATA_BYTES = 16 * 1024
_EMAIL = re.compile(r"[^@\s\x00-\x20<>,;\"\\]+@[^@\s\x00-\x20<>,;\"\\]+\.[^@\s\x00-\x20<>,;\"\\.]+")


def one_form(text: str) -> str:
    """An address in the one form that an account is found by: compatible characters as one, lower case, no xn-- domain."""
    if len(text) > 4 * MAX_EMAIL:
        return text  # too long in any form
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text.strip()).lower())
    local, at, domain = text.rpartition("@")
    return f"{local}{at}{'.'.join(map(_shown, domain.split('.')))}"


def _shown(label: str) -> str:
    """A label of a domain as people read it."""
    try:
        shown = label.removeprefix("xn--").encode("ascii").decode("punycode") if label.startswith("xn--") else label
    except UnicodeError:
        return label
    return unicodedata.normalize("NFKC", shown.lower())


def _mixed(email: str) -> list[str]:
    """The alphabets of a part of the address, if its letters are of several that nobody writes together."""
    local, _, domain = email.rpartition("@")
    for part in (local, *domain.split(".")):
        words = {unicodedata.name(char, "?").split()[0] for char in part if unicodedata.category(char)[0] == "L"}
        scripts = words - {"KATAKANA-HIRAGANA", "FEMININE", "MASCULINE", "IDEOGRAPHIC"}
        if len(scripts) > 1 and not any(scripts <= together for together in _WRITTEN_TOGETHER):
            return sorted(scripts)
    return []


def checked_email(value: Any, field: str = "email") -> str:
    """The address in its one form. 400 invalid_email, also for one that mixes alphabets to look like another."""
    email = one_form(value) if isinstance(value, str) else ""
    mixed = _mixed(email)
    if mixed:
        names = " and ".join(name.title() for name in mixed)
        raise GatewayError(
            400,
            "invalid_email",
            f"`{field}` mixes letters of {names}, so that it looks like another address. Write it in one alphabet.",
            field=field,
        )
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
        "is_anonymous": user.email is None,
        "role": user.acting_role,
        "is_admin": user.acting_role == ADMIN,
        "email_verified_at": iso(user.email_verified_at),
        "has_password": user.password_hash is not None,
        "last_sign_in_at": iso(user.last_sign_in_at),
        "created_at": iso(user.created_at),
        "data": user.data,
    }


def private(body: dict[str, Any]) -> Response:
    """An answer that no cache may keep."""
    return reply(body, 200, {"Cache-Control": "no-store"})
