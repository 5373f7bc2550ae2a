"""Upload URLs: which bytes go where, signed for one upload and a time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from datetime import datetime
from typing import Any

from starlette.requests import Request

from run402_cli.core.content.rows import (
    Upload,
)
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import Gateway, gateway_of
from run402_cli.core.web.instants import iso
from run402_cli.core.web.routing import Policy

CHECKSUM_HEADER = "x-amz-checksum-sha256"


class Signer:
    """Makes the upload URLs of one content plan."""

    def __init__(self, gateway: Gateway, base: str, expires_at: datetime) -> None:
        self.secret = gateway.settings.signed_read_secret
        self.base = base
        self.expires_at = expires_at

    def session(self, upload: Upload) -> dict[str, Any]:
        return {
            "sha256": upload.sha256,
            "mode": "single" if upload.part_count == 1 else "multipart",
            "parts": [self._part(upload, number) for number in upload.open_parts],
            "part_size_bytes": upload.part_bytes,
            "part_count": upload.part_count,
            "upload_id": upload.upload_id,
            "staging_key": f"{upload.project_id}/{upload.sha256}",
            "expires_at": iso(self.expires_at),
        }

    def _part(self, upload: Upload, number: int) -> dict[str, Any]:
        start, length = upload.span(number)
        expires = int(self.expires_at.timestamp())
        signature = _signature(self.secret, upload.upload_id, number, expires)
        url = f"{self.base}/{upload.upload_id}/{number}?expires={expires}&signature={signature}"
        if upload.part_count > 1:
            # The whole object is compared with its digest in the end; one more pass over each part gains nothing.
            url += f"&{CHECKSUM_HEADER}=whole"
        return {"part_number": number, "url": url, "byte_start": start, "byte_end": start + length - 1}


def _signature(secret: str, upload_id: str, part: int, expires: int) -> str:
    text = f"run402-core-content-upload-v1\n{upload_id}\n{part}\n{expires}"
    mac = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def _check_signature(request: Request) -> None:
    gateway, upload_id, part = gateway_of(request), request.path_params["upload_id"], request.path_params["part"]
    expires = request.query_params.get("expires", "")
    given = request.query_params.get("signature", "")
    known = re.fullmatch(r"[0-9]{1,12}", expires) is not None and hmac.compare_digest(
        given.encode(), _signature(gateway.settings.signed_read_secret, upload_id, part, int(expires)).encode()
    )
    if not known:
        raise GatewayError(
            403,
            "upload_url_invalid",
            "This upload URL was not made by this gateway. Use the URLs of a new content plan unchanged.",
        )
    if int(expires) < time.time():
        raise GatewayError(403, "upload_url_expired", "This upload URL has expired. Make a new content plan.")


SIGNED_URL = Policy(
    "signed upload URL", "has a URL that this gateway signed for one upload, for six hours.", alone=_check_signature
)
