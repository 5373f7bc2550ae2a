"""Ethereum signers in a KMS, and calls through them.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.services import contracts as _contracts

if TYPE_CHECKING:
    from typing import Any


class ProjectContracts(Namespace[Id]):
    """Ethereum signers in a KMS, and calls through them. `project.contracts` fills in `project_id`."""

    @of_project
    def provision_signer(
        self, project_id: str, *, chain: str, recovery_address: str | None = None, confirmed: bool = False
    ) -> Any:
        """Create a signer: 0.04 USD a day, from at least 1.20 USD of cash credit.

        POST /contracts/v1/signers {chain, recovery_address?} -> the signer.

        Lists the signers first: CommandError CONFIRMATION_REQUIRED when one is active and not `confirmed`. A list that
        cannot be read asks for no confirmation.
        """
        return self._call(
            _contracts.provision_signer, project_id, chain=chain, recovery_address=recovery_address, confirmed=confirmed
        )

    @of_project
    def list_signers(self, project_id: str) -> Any:
        """List the signers of a project, deleted ones included.

        GET /contracts/v1/signers -> {signers: [signer]}, deleted ones included.
        """
        return self._call(_contracts.list_signers, project_id)

    @of_project
    def get_signer(self, project_id: str, signer_id: str) -> Any:
        """Show one signer with its balance on the chain.

        GET /contracts/v1/signers/{signer} -> the signer with its balance on the chain.
        """
        return self._call(_contracts.get_signer, project_id, signer_id)

    @of_project
    def set_recovery(self, project_id: str, signer_id: str, address: str | None) -> dict[str, Any]:
        """Set or clear the address that a signer's balance can be recovered to.

        POST .../{signer}/recovery-address {recovery_address}; None clears it -> {signer_id, recovery_address, updated}.
        """
        return self._call(_contracts.set_recovery, project_id, signer_id, address)

    @of_project
    def set_alert(self, project_id: str, signer_id: str, threshold_wei: str) -> dict[str, Any]:
        """Set the balance below which a warning is sent.

        POST .../{signer}/alert {threshold_wei} -> {signer_id, threshold_wei, updated}.
        """
        return self._call(_contracts.set_alert, project_id, signer_id, threshold_wei)

    @of_project
    def call(
        self,
        project_id: str,
        signer_id: str,
        *,
        chain: str = "base-mainnet",
        to: str,
        abi: Any,
        function: str,
        args: Any,
        value_wei: str | None = None,
        idempotency_key: str | None = None,
    ) -> Any:
        """Submit a call that changes the chain: 0.000005 USD and the gas.

        POST /contracts/v1/call {signer_id, chain, contract_address, abi_fragment, function_name, args, value?} -> the
        call.
        """
        return self._call(
            _contracts.call,
            project_id,
            signer_id,
            chain=chain,
            to=to,
            abi=abi,
            function=function,
            args=args,
            value_wei=value_wei,
            idempotency_key=idempotency_key,
        )

    @of_project
    def deploy(
        self,
        project_id: str,
        signer_id: str,
        *,
        chain: str = "base-mainnet",
        bytecode: str,
        value_wei: str | None = None,
        idempotency_key: str | None = None,
    ) -> Any:
        """Deploy a contract from a signer.

        POST /contracts/v1/deploy {signer_id, chain, bytecode, value?} -> the call plus contract_address, known at once.

        `bytecode`: 0x, creation code and encoded constructor arguments in hex. ValidationError LOCAL_ERROR when it is
        malformed or longer than 131072 bytes.
        """
        return self._call(
            _contracts.deploy,
            project_id,
            signer_id,
            chain=chain,
            bytecode=bytecode,
            value_wei=value_wei,
            idempotency_key=idempotency_key,
        )

    @of_project
    def status(self, project_id: str, call_id: str) -> Any:
        """Show the state of a call: submitted, confirmed or failed.

        GET /contracts/v1/calls/{call} -> the call.
        """
        return self._call(_contracts.status, project_id, call_id)

    @of_project
    def drain(self, project_id: str, signer_id: str, *, to: str) -> Any:
        """Send a signer's whole native balance away, also when it is suspended.

        POST .../{signer}/drain {destination_address}: send the whole native balance away -> {call_id, status, tx_hash}.
        """
        return self._call(_contracts.drain, project_id, signer_id, to=to)

    @of_project
    def delete(self, project_id: str, signer_id: str) -> Any:
        """Schedule a signer's key for deletion; refused while it has a balance.

        DELETE /contracts/v1/signers/{signer} -> {signer_id, deleted_at?, scheduled_deletion_at?}. Refused with a
        balance.
        """
        return self._call(_contracts.delete, project_id, signer_id)


class Contracts(ProjectContracts[None]):
    """Ethereum signers in a KMS, and calls through them."""

    def read(self, *, chain: str, to: str, abi: Any, function: str, args: Any) -> Any:
        """Call a function that only reads.

        POST /contracts/v1/read {chain, contract_address, abi_fragment, function_name, args} -> {result}. No
        credentials.
        """
        return self._call(_contracts.read, chain=chain, to=to, abi=abi, function=function, args=args)
