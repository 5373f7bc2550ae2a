"""The path of a request's address."""

from __future__ import annotations

import re
from typing import Final

from starlette.requests import Request

# Here an address can be read in one way only.
_PLAIN: Final = re.compile(r"(?:/[A-Za-z0-9_.~-]+)+/?")


def path_of(request: Request) -> str:
    """As `request.url.path`, without making the whole address where that changes nothing."""
    path: str = request.scope["path"]
    return path if _PLAIN.fullmatch(path) else request.url.path
