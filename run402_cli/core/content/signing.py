"""Upload URLs: which bytes go where, signed for one upload and a time."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime
from typing import Any

from run402_cli.core.content.receiving import CHECKSUM_HEADER
from run402_cli.core.content.rows import Upload
from run402_cli.core.gateway import Gateway
from run402_cli.core.web.instants import iso


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
        made = signature(self.secret, upload.upload_id, number, expires)
        url = f"{self.base}/{upload.upload_id}/{number}?expires={expires}&signature={made}"
        if upload.part_count > 1:
            # The whole object is compared with its digest in the end; one more pass over each part gains nothing.
            url += f"&{CHECKSUM_HEADER}=whole"
        return {"part_number": number, "url": url, "byte_start": start, "byte_end": start + length - 1}


def signature(secret: str, upload_id: str, part: int, expires: int) -> str:
    text = f"run402-core-content-upload-v1\n{upload_id}\n{part}\n{expires}"
    mac = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
