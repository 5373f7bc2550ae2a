"""Organizations, members, invites, audit.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Namespace
from run402_cli.services import org as _org

if TYPE_CHECKING:
    from typing import Any


class Org(Namespace[None]):
    """Organizations, members, invites, audit."""

    def create(self, *, name: str | None = None) -> Any:
        """Create an organization; you become its owner.

        POST /orgs/v1 {display_name?} -> {org_id, display_name, tier, lease_started_at, lease_expires_at}.

        The caller becomes the owner. Calling it twice makes two organizations.
        """
        return self._call(_org.create, name=name)

    def list(self) -> dict[str, Any]:
        """List the organizations that you belong to, with your role in each.

        GET /orgs/v1 -> {orgs: [{org_id, display_name, role, status}]}: those that the caller belongs to.
        """
        return self._call(_org.list_orgs)

    def get(self, org_id: str) -> Any:
        """Show one organization: name, tier, lease, your role.

        GET /orgs/v1/{org} -> the organization with the caller's role. An unknown id is ApiError 403 NOT_AUTHORIZED.
        """
        return self._call(_org.get, org_id)

    def rename(self, org_id: str, name: str | None) -> Any:
        """Set or clear the display name.

        PATCH /orgs/v1/{org} {display_name}; None clears it. For owners; ApiError 403 STEP_UP_REQUIRED in old sessions.
        """
        return self._call(_org.rename, org_id, name)

    def payout_wallet(self, org_id: str, address: str | None) -> Any:
        """Set or clear the wallet address that priced routes pay to.

        PATCH /orgs/v1/{org}/payout-wallet {wallet_address}; None clears it. For owners and admins.

        Returns {status, org_id, default_payout_wallet, previous_default_payout_wallet, recovery}.
        """
        return self._call(_org.set_payout_wallet, org_id, address)

    set_payout_wallet = payout_wallet  # the older name

    def whoami(self) -> Any:
        """Who the gateway takes you for: principal, memberships, linked identities.

        GET /agent/v1/whoami -> {principal, memberships, authenticator_id, active_authenticator, linked_identities}.
        """
        return self._call(_org.whoami)

    def audit(
        self, org_id: str, *, limit: int | None = None, after: str | None = None, before: str | None = None
    ) -> dict[str, Any]:
        """Show who changed what in an organization, one page at a time.

        GET /orgs/v1/{org}/audit[?limit=1..1000&after&before] -> {events, has_more, next_cursor}.
        """
        return self._call(_org.audit, org_id, limit=limit, after=after, before=before)

    def member_list(self, org_id: str) -> dict[str, Any]:
        """List the members of an organization with their roles.

        GET /orgs/v1/{org}/members -> {members: [{principal_id, role, status}]}.
        """
        return self._call(_org.list_members, org_id)

    list_members = member_list  # the older name

    def member_add(self, org_id: str, wallet: str, *, role: str | None = None) -> Any:
        """Add a member by wallet address.

        POST /orgs/v1/{org}/members {wallet, role?} -> {status, principal_id, role}. The gateway's default is developer.
        """
        return self._call(_org.add_member, org_id, wallet, role=role)

    add_member = member_add  # the older name

    def member_role(self, org_id: str, principal_id: str, role: str) -> Any:
        """Change the role of a member.

        PATCH /orgs/v1/{org}/members/{principal} {role} -> {status, principal_id, role}. ApiError 409 LAST_OWNER.
        """
        return self._call(_org.change_role, org_id, principal_id, role)

    change_role = member_role  # the older name

    def member_rm(self, org_id: str, principal_id: str) -> Any:
        """Remove a member at once.

        DELETE /orgs/v1/{org}/members/{principal} -> {status, principal_id}. ApiError 409 LAST_OWNER.
        """
        return self._call(_org.remove_member, org_id, principal_id)

    remove_member = member_rm  # the older name

    def invite_list(self, org_id: str) -> dict[str, Any]:
        """List the invites that are still open.

        GET /orgs/v1/{org}/invites -> {invites: [{principal_id, invited_email, role, invite_expires_at, ...}]}.
        """
        return self._call(_org.list_invites, org_id)

    list_invites = invite_list  # the older name

    def invite_create(self, org_id: str, email: str, *, role: str = "developer", ttl_hours: int | None = None) -> Any:
        """Invite a person by e-mail.

        POST /orgs/v1/{org}/invites {email, role, invite_ttl_hours? (1-8760)} -> the invite. For owners.
        """
        return self._call(_org.invite, org_id, email, role=role, ttl_hours=ttl_hours)

    invite = invite_create  # the older name

    def invite_rm(self, org_id: str, principal_id: str) -> Any:
        """Take an open invite back.

        DELETE /orgs/v1/{org}/invites/{principal} -> {status, principal_id}.
        """
        return self._call(_org.revoke_invite, org_id, principal_id)

    revoke_invite = invite_rm  # the older name
