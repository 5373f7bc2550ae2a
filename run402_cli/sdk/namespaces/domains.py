"""Own domains for the web and e-mail of a project.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.services import domains as _domains

if TYPE_CHECKING:
    from typing import Any


class Domains(Namespace[Id]):
    """Own domains for the web and e-mail of a project. `project.domains` fills in `project_id`."""

    @of_project
    def connect(self, project_id: str, domain: str, desired: dict[str, Any]) -> Any:
        """Say what a domain is for: web, sending, receiving.

        POST /projects/v1/{id}/domains/{domain} {desired} -> ProjectDomain. States what is wanted as a whole.

        `desired`: {authority?, web?: {enabled, target, role}, email?: {send?, receive?, mailbox_addresses?,
        activation?}}.
        """
        return self._call(_domains.connect, project_id, domain, desired)

    @of_project
    def list(self, project_id: str) -> Any:
        """List the domains of a project.

        GET /projects/v1/{id}/domains -> {domains: [ProjectDomain]}.
        """
        return self._call(_domains.list_domains, project_id)

    @of_project
    def status(self, project_id: str, domain: str) -> Any:
        """What is known of a domain, as last observed: status, records, checks, next actions.

        GET /projects/v1/{id}/domains/{domain} -> ProjectDomain.
        """
        return self._call(_domains.get, project_id, domain)

    get = status  # the older name

    @of_project
    def dns(self, project_id: str, domain: str) -> dict[str, Any]:
        """The DNS records to set at your provider, with the state of each.

        The DNS side of a domain: {domain, dns_records, checks, next_actions}, from the same route as `get`.
        """
        return self._call(_domains.dns, project_id, domain)

    @of_project
    def check(self, project_id: str, domain: str) -> Any:
        """Look at DNS and providers again, and show the domain.

        POST .../actions/check: look at DNS and providers again -> ProjectDomain.
        """
        return self._call(_domains.check, project_id, domain)

    @of_project
    def apply(self, project_id: str, domain: str) -> Any:
        """Make the changes that the gateway may safely make itself.

        POST .../actions/apply: make the changes that the gateway may safely make itself -> ProjectDomain.
        """
        return self._call(_domains.apply, project_id, domain)

    @of_project
    def repair(self, project_id: str, domain: str) -> Any:
        """Restore the gateway's own side of a domain.

        POST .../actions/repair: restore the gateway's own side of the domain -> ProjectDomain.
        """
        return self._call(_domains.repair, project_id, domain)

    @of_project
    def activate(self, project_id: str, domain: str) -> Any:
        """Switch the mailboxes to their addresses on this domain (after connect with --activation manual).

        POST .../actions/activate_mailbox_addresses: mailboxes switch to this domain -> ProjectDomain.
        """
        return self._call(_domains.activate, project_id, domain)

    @of_project
    def test_receive(self, project_id: str, domain: str, *, to: str) -> Any:
        """Start a test of receiving: send a message to the address in `receive_test`, then look with `domains status`.

        POST .../actions/test_receive {to}: ProjectDomain with receive_test {id, address, token, status, created_at,
        ...}.
        """
        return self._call(_domains.check_receiving, project_id, domain, to=to)

    check_receiving = test_receive  # the older name

    @of_project
    def disconnect(self, project_id: str, domain: str) -> Any:
        """Take a domain off the project.

        DELETE /projects/v1/{id}/domains/{domain} -> {status, domain}. Records at the registrar stay as they are.
        """
        return self._call(_domains.disconnect, project_id, domain)

    @of_project
    def wait(
        self, project_id: str, domain: str, *, until: str = "active", timeout_ms: int = 120000, interval_ms: int = 5000
    ) -> Any:
        """Check a domain again and again until it is ready.

        Repeat `check` until the domain is as wanted, and return that ProjectDomain.

        `until`: active (status), receive-active (mail arrives), safe (no blocking check fails). Times are milliseconds.
        Raises ValidationError DOMAIN_WAIT_TIMEOUT with what is still open, and ApiError at the first refusal.
        """
        return self._call(
            _domains.wait, project_id, domain, until=until, timeout_ms=timeout_ms, interval_ms=interval_ms
        )
