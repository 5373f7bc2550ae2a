"""URLs that let their bearer read one object for a while."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time

from starlette.requests import Request

from run402_cli.core.gateway import gateway_of
from run402_cli.core.settings import Settings
from run402_cli.core.sites.static import raw_path
from run402_cli.core.storage.keys import checked_key, url_path
from run402_cli.core.web.instants import epoch


def signature(settings: Settings, project_id: str, key: str, sha256: str | None, expires: int) -> str:
    """What lets a bearer read one object (or, with `sha256`, one version of it) until `expires` (epoch seconds)."""
    text = "\n".join(("run402-core-storage-read-v1", project_id, key, sha256 or "", str(expires)))
    mac = hmac.new(settings.signed_read_secret.encode(), text.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def signed_url(settings: Settings, base: str, project_id: str, key: str, expires: int) -> str:
    mac = signature(settings, project_id, key, None, expires)
    return f"{base}/projects/v1/{project_id}/storage/signed/{url_path(key)}?expires={expires}&signature={mac}"


def is_signed(request: Request, project_id: str, key: str, sha256: str | None) -> bool:
    """Whether the URL has the signature for this object, and it holds still."""
    expires = epoch(request.query_params.getlist("expires"))
    given = request.query_params.get("signature", "")
    if expires is None or expires < time.time():
        return False
    expected = signature(gateway_of(request).settings, project_id, key, sha256, expires)
    return hmac.compare_digest(given.encode(), expected.encode())


def requested_key(request: Request, after: bytes) -> str:
    """The key in the path below `after`, as sent: an encoded slash is not a slash. 400 invalid_storage_key."""
    raw = raw_path(request.scope)
    return checked_key(raw.partition(after)[2].decode("latin-1"))
