"""Whether the published CLI has moved on: the record kept on disk, and the look at the package index that renews it.

See docs/diagnostics.md, "Newer version". The record is shared with the Node CLI, and so is what it compares: the version
of the command surface, which this package follows.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from run402_cli import secrecy
from run402_cli._version import __version__
from run402_cli.client import bounded
from run402_cli.client.http import httpx
from run402_cli.client.transport import LazyTransport, reason
from run402_cli.state.catalogue import UPDATE_CHECK
from run402_cli.state.files import now_iso, read_state, rewritten, write_json

FOLLOWED = "4.24.1"  # the published version whose commands this package has
PACKAGE = "run402"
_DEFAULT_REGISTRY = "https://registry.npmjs.org"
_FRESH = timedelta(hours=24)
_TIMEOUT_S = 1.5
_TRUE = ("1", "true", "yes", "on")
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")

Record = dict[str, Any]


def disabled() -> bool:
    """Whether RUN402_NO_UPDATE_CHECK switches the check off."""
    return os.environ.get("RUN402_NO_UPDATE_CHECK", "").strip().lower() in _TRUE


def record_path(folder: Path) -> Path:
    return folder / "cli-update-check.json"


def load(folder: Path) -> Record | None:
    """The record {current, latest, checked_at, registry, error, ...} of a wallet's directory, or None. Raises DamagedState."""
    record = read_state(record_path(folder), UPDATE_CHECK) or {}
    return record if record.get("schema_version") == 1 and isinstance(record.get("checked_at"), str) else None


def is_fresh(record: Record) -> bool:
    """Whether the record is younger than a day."""
    try:
        checked = datetime.fromisoformat(record["checked_at"].replace("Z", "+00:00"))
        return timedelta(0) <= datetime.now(UTC) - checked < _FRESH
    except (ValueError, TypeError):
        return False


def refresh(folder: Path) -> Record:
    """GET {index}/run402/latest -> {version}, within 1.5 seconds; the new record, which is written too.

    A failure is a record with `latest` null and `error` {code: TIMEOUT | INVALID_LATEST | NETWORK_ERROR, message}.
    """
    registry = (
        os.environ.get("RUN402_NPM_REGISTRY") or os.environ.get("npm_config_registry") or _DEFAULT_REGISTRY  # noqa: SIM112
    ).rstrip("/")
    load(folder)  # what cannot be replaced is said before anybody is asked
    latest, error = _ask(f"{registry}/{PACKAGE}/latest")
    record = {
        "schema_version": 1,
        "package": PACKAGE,
        "current": FOLLOWED,
        "latest": latest,
        "checked_at": now_iso(),
        "source": "registry",
        "registry": secrecy.without_userinfo(registry),
        "error": error,
    }
    path = record_path(folder)
    write_json(path, rewritten(path, UPDATE_CHECK, record), temp=".cli-update-check", newline=True)
    return record


def _ask(address: str) -> tuple[str | None, dict[str, str] | None]:
    url = secrecy.without_userinfo(address)
    try:
        with bounded.Client(LazyTransport(), timeout=_TIMEOUT_S, follow_redirects=True) as http:
            response = http.get(address, headers={"Accept": "application/json"})
            answer = response.json() if response.is_success else None
    except httpx.TimeoutException:
        return None, {"code": "TIMEOUT", "message": f"No answer from {url} within {_TIMEOUT_S} seconds."}
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        return None, {"code": "NETWORK_ERROR", "message": f"Cannot read {url}: {reason(exc)}"}
    except ValueError:
        return None, {"code": "INVALID_LATEST", "message": f"{url} is not JSON."}
    if not response.is_success:
        return None, {"code": "NETWORK_ERROR", "message": f"{url} answered HTTP {response.status_code}."}
    version = answer.get("version") if isinstance(answer, dict) else None
    if not isinstance(version, str) or _order(version) is None:
        return None, {"code": "INVALID_LATEST", "message": f"{url} names no version."}
    return version, None


def is_older(current: str, latest: str) -> bool | None:
    """Whether `current` comes before `latest` in semantic versioning; None when either is no version."""
    mine, theirs = _order(current), _order(latest)
    return None if mine is None or theirs is None else mine < theirs


def _order(version: str) -> tuple[Any, ...] | None:
    match = _VERSION.fullmatch(version)
    if match is None:
        return None
    numbers = tuple(int(part) for part in match.group(1, 2, 3))
    if match[4] is None:
        return (*numbers, 1, ())
    # A number comes before a word, a release after all of its prereleases.
    parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in match[4].split("."))
    return (*numbers, 0, parts)


def package_version() -> str:
    """The version of this package itself."""
    return __version__
