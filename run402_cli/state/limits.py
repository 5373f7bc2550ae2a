"""payment-limits.json: what the wallet may spend, checked before anything is signed. See docs/payments.md, "Limits"."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from run402_cli.errors import CommandError
from run402_cli.invocation import about_to_write
from run402_cli.state.files import now_iso, write_json

# Until the user says otherwise: well above the highest price that Run402 publishes, well below a wallet's ruin.
DEFAULT_PER_PAYMENT = 50_000_000
_KEYS = ("per_payment_usd_micros", "per_day_usd_micros")


@dataclass(frozen=True, slots=True)
class Limits:
    """USD micros; None means that the user set no such limit. A day is the last 24 hours."""

    per_payment: int | None = None
    per_day: int | None = None

    def to_json(self) -> dict[str, Any]:
        """What `allowance limits` prints."""
        return {
            "per_payment_usd_micros": DEFAULT_PER_PAYMENT if self.per_payment is None else self.per_payment,
            "per_payment_source": "default" if self.per_payment is None else "user",
            "per_day_usd_micros": self.per_day,
        }


def limits_path(folder: Path) -> Path:
    return folder / "payment-limits.json"


def load_limits(folder: Path) -> Limits:
    """The wallet's limits. CommandError BAD_LIMITS_FILE when the file is damaged: then nothing is paid."""
    path = limits_path(folder)
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return Limits()
    except (OSError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or not all(_is_amount(value.get(key)) for key in _KEYS):
        raise CommandError(
            f"{path} is not a limits file, so nothing is paid from this wallet.",
            code="BAD_LIMITS_FILE",
            hint="Write it anew: run402 allowance limits clear, then run402 allowance limits set --per-payment-usd <usd>",
            details={"path": str(path)},
        )
    return Limits(value.get("per_payment_usd_micros"), value.get("per_day_usd_micros"))


def _is_amount(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


def save_limits(folder: Path, limits: Limits) -> None:
    """Replace the limits (0600)."""
    fields = {
        "version": 1,
        "per_payment_usd_micros": limits.per_payment,
        "per_day_usd_micros": limits.per_day,
        "updated_at": now_iso(),
    }
    write_json(limits_path(folder), fields, temp=".payment-limits")


def clear_limits(folder: Path) -> bool:
    """Remove the limits; False when there were none."""
    about_to_write(limits_path(folder))
    try:
        limits_path(folder).unlink()
    except FileNotFoundError:
        return False
    return True
