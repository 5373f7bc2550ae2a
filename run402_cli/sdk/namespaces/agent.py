"""The contact record of the wallet, and messages to the developers of Run402.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Namespace
from run402_cli.services import agent as _agent

if TYPE_CHECKING:
    from typing import Any


class Agent(Namespace[None]):
    """The contact record of the wallet, and messages to the developers of Run402."""

    def contact(self, name: str, *, email: str | None = None, webhook: str | None = None) -> Any:
        """Register or change the contact of this wallet.

        POST /agent/v1/contact {name, email?, webhook?} -> the record. A new e-mail address starts a reply challenge.
        """
        return self._call(_agent.set_contact, name, email=email, webhook=webhook)

    set_contact = contact  # the older name

    def status(self) -> Any:
        """Show the contact record and its assurance level.

        GET /agent/v1/contact/status -> the record, plus `email_verification` of GET /agent/v1/operator/status if
        readable.
        """
        return self._call(_agent.status)

    def operator_status(self) -> Any:
        """How the operator behind the wallet stands.

        GET /agent/v1/operator/status -> how the operator behind the wallet stands: contact, tier, projects at risk.
        """
        return self._call(_agent.operator_status)

    def verify_email(self) -> Any:
        """Send the e-mail that the operator must reply to, again if need be.

        POST /agent/v1/contact/verify-email: send the reply challenge, again if need be -> the record.
        """
        return self._call(_agent.verify_email)

    def passkey_enroll(self) -> Any:
        """Mail the link that enrolls the operator's passkey to the verified address.

        POST /agent/v1/contact/passkey/enroll: mail the enrollment link -> the record with enrollment_sent_to.

        Raises ApiError 412 until the e-mail address is verified.
        """
        return self._call(_agent.enroll_passkey)

    enroll_passkey = passkey_enroll  # the older name

    def send_message(self, text: str) -> dict[str, Any]:
        """Send one text message, at most 8192 bytes; several words are joined with spaces.

        POST /message/v1 {message} -> {bytes_sent, sent}; the gateway's own answer is left out. Checks as
        `message_size`.
        """
        return self._call(_agent.send_message, text)
