"""Named local wallets.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Namespace
from run402_cli.services import wallets as _wallets

if TYPE_CHECKING:
    from typing import Any


class Wallets(Namespace[None]):
    """Named local wallets."""

    def list(self) -> builtins.list[dict[str, Any]]:
        """List all local wallets: name, label on the server, address, rail, and which one is active.

        Local wallets: [{local_label, server_label, address, address_short, rail, active, problems?}]; default first.

        `problems` are the wallet's files that cannot be read: [{code, message, hint}]. `active` is null for all of them
        when the file that names the active one cannot be read. Sends nothing.
        """
        return self._call_plain(_wallets.list_wallets, self._client.profile.selection)

    def current(self) -> dict[str, Any]:
        """Show the resolved wallet and why it was chosen: flag, environment, directory binding, config or default.

        The resolved wallet: {local_label, source, source_detail, address, server_label, warnings: [{code, message,
        hint}]}.
        """
        return self._call_profile(_wallets.current_wallet)

    def new(self, name: str, *, mpp: bool = False) -> dict[str, Any]:
        """Create a wallet with a fresh secp256k1 key.

        Create a wallet with a fresh key: {local_label, address, rail, created, next}. Pushes the label, best effort.

        Raises CommandError WALLET_EXISTS, EnvironmentFault when the directory cannot be written.
        """
        return self._call_plain(_wallets.new, name, mpp=mpp)

    def adopt(self, name: str, text: str) -> dict[str, Any]:
        """Adopt an existing private key (0x and 64 hex digits) from a file or stdin, as the wallet NAME.

        Store an existing private key, given as text: {local_label, address, imported}. Pushes the label, best effort.

        Raises CommandError WALLET_EXISTS or BAD_PRIVATE_KEY; no error repeats the key.
        """
        return self._call_plain(_wallets.adopt, name, text)

    def use(self, name: str) -> dict[str, Any]:
        """Set the wallet that is used when no --wallet flag, RUN402_WALLET or directory binding says otherwise.

        Set the configured wallet: {local_label, active: true}. CommandError WALLET_NOT_FOUND.
        """
        return self._call_plain(_wallets.use, name)

    def rename(self, old: str, to: str) -> dict[str, Any]:
        """Rename a wallet with all of its files, and its label on the server.

        Rename a wallet and push its label: {from, to, renamed}. CommandError WALLET_NOT_FOUND or WALLET_RENAME_FAILED.
        """
        return self._call_plain(_wallets.rename, old, to)

    def rm(self, name: str) -> dict[str, Any]:
        """Delete a wallet with its private key, cached project keys and state.

        Delete a wallet: {local_label, removed}. CommandError WALLET_NOT_FOUND.
        """
        return self._call_plain(_wallets.remove, name)

    remove = rm  # the older name

    def bind(self, name: str | None = None) -> dict[str, Any]:
        """Bind the current directory, and everything below it, to a wallet: writes ./.run402.json.

        Bind the current directory, to the active wallet unless one is named; the wallet need not exist.

        {wallet, file, bound, safe_to_commit, note, warning?}. CommandError BINDING_NOT_CONFIRMED when a file chose the
        wallet.
        """
        return self._call_profile(_wallets.bind, name)

    def confirm_binding(self, name: str | None = None) -> dict[str, Any]:
        """Agree once to the binding that holds here, which may have come with a repository: {wallet, file, bound, ...}.

        CommandError BINDING_NOT_FOUND without a binding, or when it is for another wallet than `name`.
        """
        return self._call_profile(_wallets.confirm_binding, name)

    def unbind(self) -> dict[str, Any]:
        """Remove ./.run402.json.

        Remove ./.run402.json: {file, unbound}.
        """
        return self._call_plain(_wallets.unbind)
