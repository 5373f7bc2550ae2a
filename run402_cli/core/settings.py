"""Configuration of one gateway process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# A local gateway has exactly one organization and one tier; the account routes describe both.
LOCAL_ORG_ID = "00000000-0000-4000-8000-000000000402"
LOCAL_TIER = "prototype"
# What a statement of a request may take, where `core start --statement-timeout` says nothing else.
STATEMENT_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the gateway listens and keeps its data. Secrets are made once per data directory."""

    data_dir: Path
    jwt_secret: str
    signed_read_secret: str
    host: str = "127.0.0.1"
    port: int = 4020
    database_url: str | None = None  # None: the embedded PostgreSQL below data_dir
    max_object_bytes: int = 5 * 1024**3
    require_payment: bool = False
    control_token: str = ""  # empty: nobody holds it
    open: bool = False  # the control plane asks nobody for a credential
    statement_seconds: int = STATEMENT_SECONDS

    @property
    def public_url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def statement_milliseconds(self) -> int:
        """How long PostgreSQL may work at a statement of a request."""
        return self.statement_seconds * 1000

    @property
    def request_seconds(self) -> float:
        """How long a request may have its connection, COMMIT and cleaning included."""
        return self.statement_seconds + 5.0

    @property
    def lock_patience(self) -> float:
        """How long a migration tries to get a lock: every request that holds it has ended by then."""
        return self.request_seconds + 10.0

    @property
    def content_dir(self) -> Path:
        return self.data_dir / "content"
