"""Named local wallets.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Namespace
from run402_cli.services import wallets as _wallets

if TYPE_CHECKING:
    from typing import Any

_List = list


class Wallets(Namespace):
    """Named local wallets."""

    def list(self) -> _List[dict[str, Any]]:
        """Local wallets: [{local_label, server_label, address, address_short, rail, active, problems?}]; default first.

        `problems` are the wallet's files that cannot be read: [{code, message, hint}]. `active` is null for all of them
        when the file that names the active one cannot be read. Sends nothing.
        """
        return self._call_plain(_wallets.list_wallets, self._client.profile.selection)

    def current(self) -> dict[str, Any]:
        """The resolved wallet: {local_label, source, source_detail, address, server_label, warnings: [{code, message,
        hint}]}.
        """
        return self._call_profile(_wallets.current_wallet)

    def new(self, name: str, *, mpp: bool) -> dict[str, Any]:
        """Create a wallet with a fresh key: {local_label, address, rail, created, next}. Pushes the label, best effort.

        Raises CommandError WALLET_EXISTS, EnvironmentFault when the directory cannot be written.
        """
        return self._call_plain(_wallets.new, name, mpp=mpp)

    def adopt(self, name: str, text: str) -> dict[str, Any]:
        """Store an existing private key, given as text: {local_label, address, imported}. Pushes the label, best effort.

        Raises CommandError WALLET_EXISTS or BAD_PRIVATE_KEY; no error repeats the key.
        """
        return self._call_plain(_wallets.adopt, name, text)

    def use(self, name: str) -> dict[str, Any]:
        """Set the configured wallet: {local_label, active: true}. CommandError WALLET_NOT_FOUND."""
        return self._call_plain(_wallets.use, name)

    def rename(self, old: str, to: str) -> dict[str, Any]:
        """Rename a wallet and push its label: {from, to, renamed}. CommandError WALLET_NOT_FOUND or
        WALLET_RENAME_FAILED.
        """
        return self._call_plain(_wallets.rename, old, to)

    def remove(self, name: str) -> dict[str, Any]:
        """Delete a wallet: {local_label, removed}. CommandError WALLET_NOT_FOUND."""
        return self._call_plain(_wallets.remove, name)

    def bind(self, name: str) -> dict[str, Any]:
        """Bind the current directory: {wallet, file, bound, safe_to_commit, note, warning?}. The wallet need not
        exist.
        """
        return self._call_plain(_wallets.bind, name)

    def unbind(self) -> dict[str, Any]:
        """Remove ./.run402.json: {file, unbound}."""
        return self._call_plain(_wallets.unbind)
