"""Calls that belong to no group.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk import _releases
from run402_cli.sdk._namespace import Namespace
from run402_cli.services import doctor as _doctor
from run402_cli.services import pay as _pay
from run402_cli.services import status as _status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Any


class General(Namespace[None]):
    """Calls that belong to no group."""

    def up(
        self,
        source: str = ".",
        *,
        project_id: str | None = None,
        name: str | None = None,
        manifest: str | None = None,
        tier: str | None = None,
        idempotency_key: str | None = None,
        yes: bool = False,
        mode: str = "apply",
        allow_warnings: bool = False,
        allow_warning_codes: Sequence[str] = (),
        max_spend_usd: float | None = None,
        allow_outside: bool = False,
        allow_env: Sequence[str] = (),
        on_event: Callable[[dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        """Deploy the app in a directory or repository: make sure of the project, link the directory, deploy, check.

        Make the project ready, deploy a directory or repository by its manifest, check it: `run402 up`.

        `yes` agrees to every change that would be asked about. `allow_outside` lets the manifest name files outside of
        its git work tree; `max_spend_usd` is what all payments of the call may cost together; `allow_env` are variables
        of the environment that an app manifest may take for its secrets. `mode` is apply, check, printSpec or plan.
        Returns {action, mode, dry_run, target, steps, result}. Raises ValidationError RUN402_APPROVAL_REQUIRED without
        `yes`, and what the steps raise. docs/up.md
        """
        return self._call(
            _releases.up,
            source,
            project_id=project_id,
            name=name,
            manifest=manifest,
            tier=tier,
            idempotency_key=idempotency_key,
            yes=yes,
            mode=mode,
            allow_warnings=allow_warnings,
            allow_warning_codes=allow_warning_codes,
            max_spend_usd=max_spend_usd,
            allow_outside=allow_outside,
            allow_env=allow_env,
            on_event=on_event,
        )

    def status(self) -> dict[str, Any]:
        """Wallet, balances, tier, projects, active project and API target in one document.

        Wallet, balances (USD micros), tier, projects, active project and API target.

        GET /tiers/v1/status, /orgs/v1/lookup, /projects/v1 and the chains' balances, all at once; whatever fails is
        null, and the project list falls back to the local key cache. Without a wallet nothing is sent and the document
        is short. Raises DamagedState when a state file cannot be read as what it is: this document does not guess.
        """
        return self._call(_status.status)

    def doctor(
        self, *, verbose: bool = False, refresh: bool = False, scan: bool = True, scan_dir: Path | None = None
    ) -> dict[str, Any]:
        """Check directory, version, wallet, keys, API, tier, operator account and sources.

        {ok, checks: [{name, status, value?, hint?, message?}], proxies?}; `ok` when no status is worse than a warning.

        GET /status, /tiers/v1/status and /agent/v1/operator/status, one after the other. `refresh` looks at the package
        index first (at most 1.5 s). A state file that cannot be read is a check of its own, `state_files`, and an error
        in every check that needs it. Raises EnvironmentFault for an unusable API address.
        """
        return self._call(_doctor.report, verbose=verbose, refresh=refresh, scan=scan, scan_dir=scan_dir)

    def pay(
        self,
        url: str,
        *,
        method: str = "GET",
        body: str | None = None,
        max_usd_micros: int = 100000,
        idempotency_key: str | None = None,
        require_receipt: bool = False,
    ) -> dict[str, Any]:
        """Call a URL; when it answers 402 with an x402 challenge, pay it once and print the answer with the settlement.

        {METHOD} url without credentials; a 402 is paid once when it asks for at most `max_usd_micros`.

        Returns {schema_version, http_status, body, payment: {...} | None, outcome: paid | not_paid, replay,
        next_actions}, also for a 404 or 500 that was not paid for. Raises PaymentError (docs/payments.md, "Faults"),
        ApiError for a 402 without a challenge, NetworkError.
        """
        return self._call(
            _pay.pay,
            url,
            method=method,
            body=body,
            max_usd_micros=max_usd_micros,
            idempotency_key=idempotency_key,
            require_receipt=require_receipt,
        )
