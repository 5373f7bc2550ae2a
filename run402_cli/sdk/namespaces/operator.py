"""The human behind the wallets.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Namespace
from run402_cli.services import operator as _operator

if TYPE_CHECKING:
    from typing import Any

    from run402_cli.state import sessions


class Operator(Namespace[None]):
    """The human behind the wallets."""

    def start_device_login(self) -> dict[str, Any]:
        """Start the sign-in of a human on any device.

        POST /agent/v1/operator/session/device {client_name}, no credentials.

        Returns {device_code, user_code, verification_uri, verification_uri_complete?, expires_in (s), interval (s)}.
        """
        return self._call(_operator.start_device_login)

    def finish_device_login(self, started: dict[str, Any]) -> sessions.Session:
        """Wait until the human has decided, and save the session.

        POST .../device/token {device_code} every `interval` seconds until the human has decided; saves the session.

        Raises CommandError OPERATOR_LOGIN_DENIED, _EXPIRED, _TIMEOUT (after `expires_in` seconds, at most an hour) or
        _FAILED.
        """
        return self._call(_operator.finish_device_login, started)

    def login(self, *, may_open: bool = True) -> dict[str, Any]:
        """Sign a human in.

        Browser login on a loopback port (see services/approvals.sign_in), then GET /agent/v1/control-plane/session.

        Returns `control_plane_view` plus `memberships` [{org_id, role, status, display_name?}] when they could be read.
        """
        return self._call(_operator.browser_login, may_open=may_open)

    browser_login = login  # the older name

    def whoami(self) -> dict[str, Any]:
        """Show the sessions cached here, without a request.

        The cached sessions, without a request. `logged_in` false has reason no_session or expired, and a hint.
        """
        return self._call_plain(_operator.whoami)

    def status(self) -> dict[str, Any]:
        """The browser login and the approvals cached here, without a request.

        {operator_login: {active, provenance?, amr?, expires_at?}, approvals: [{action, org_id, project_id,
        expires_at}]}.

        Without a request; approvals that are over are left out, those of other sessions and gateways are not.
        """
        return self._call_plain(_operator.status)

    def overview(self) -> Any:
        """Everything that the signed-in e-mail address owns, over all of its wallets.

        GET /agent/v1/operator/overview with the read session -> {scope, rollup, organizations, wallets, advisories}.

        Raises CommandError OPERATOR_LOGIN_REQUIRED without a live session, OPERATOR_SESSION_INVALID (and forgets the
        session) when the gateway does not take it.
        """
        return self._call(_operator.overview)

    def logout(self) -> dict[str, Any]:
        """Revoke the read session and forget all sessions and approvals cached here.

        POST /agent/v1/operator/session/revoke for a live read session, then forget every session and approval.

        Returns {revoked, cleared}; a revocation that fails leaves `revoked` false. The control-plane session is
        forgotten here and runs out on the gateway.
        """
        return self._call(_operator.logout)

    def approve(self, action: str, target: dict[str, str], *, may_open: bool = True) -> dict[str, Any]:
        """Approve one kind of write on one target with a passkey, for a while; needs operator login --loopback.

        Mint one approval in the browser (see services/approvals.approve) -> {approved, action, target, expires_at}.
        """
        return self._call(_operator.approve, action, target, may_open=may_open)

    def claim_wallet_org(self, *, org_id: str | None = None, name: str | None = None) -> dict[str, Any]:
        """Take over the organization that the active wallet owns; needs operator login --loopback.

        POST .../claim-wallet-org/challenge {wallet}, sign its nonce, POST .../claim-wallet-org {org_id?,
        display_name?}.

        Returns {claimed: true, org_id, display_name, role, already_owned}, or {claimed: false, selectable_orgs, hint}
        when the wallet owns several. Raises ValidationError LOCAL_ERROR without a control-plane session or wallet;
        ApiError 403 STEP_UP_REQUIRED, WALLET_PROOF_INVALID.
        """
        return self._call(_operator.claim_wallet_org, org_id=org_id, name=name)
