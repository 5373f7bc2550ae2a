"""Which wallet was chosen and by what; and what child processes are told of it, which never makes a choice stronger.

See docs/protocol/local-state.md, "Wallet selection".
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

from run402_cli.state import bindings
from run402_cli.state.bindings import Binding
from run402_cli.state.files import DamagedState

# Beside RUN402_WALLET: the selection as JSON.
_TOLD = "RUN402_ACTIVE_WALLET_JSON"


class Selection(NamedTuple):
    """The resolved wallet name and why it won. `source` is flag, env, binding, config or default.

    `fault` is set when the file that says which wallet it is cannot be read: then nobody knows, and whoever asks for the
    wallet gets that error. What needs no wallet goes on working.
    """

    name: str
    source: str
    detail: str | None
    binding: Binding | None = None
    env_name: str | None = None
    fault: DamagedState | None = None

    @property
    def diverged(self) -> bool:
        """The environment and the directory binding name different wallets."""
        return self.env_name is not None and self.binding is not None and self.env_name != self.binding.wallet

    @property
    def of_file(self) -> Binding | None:
        """The binding that made this choice, here or in a parent process; None when something else did."""
        return Binding(self.name, self.detail) if self.source == "binding" and self.detail is not None else None

    def to_json(self) -> str:
        """The value of RUN402_ACTIVE_WALLET_JSON for child processes."""
        binding = {"wallet": self.binding.wallet, "file": self.binding.file} if self.binding else None
        return json.dumps(
            {
                "name": self.name,
                "source": self.source,
                "sourceDetail": self.detail,
                "binding": binding,
                "envName": self.env_name,
                "diverged": self.diverged,
            },
            separators=(",", ":"),
        )


def told(env_name: str) -> tuple[str, str | None]:
    """Source and detail of the wallet that RUN402_WALLET names: of the choice that a parent process passed on, else env.

    A file's choice stays one, and has to be confirmed here as it had to be there.
    """
    try:
        parent = json.loads(os.environ.get(_TOLD, "null"))
    except ValueError:
        parent = None
    if isinstance(parent, dict) and parent.get("name") == env_name and "RUN402_WALLET" in os.environ:
        source, detail = parent.get("source"), parent.get("sourceDetail")
        if source == "binding" and isinstance(detail, str):
            return source, detail
        if source in ("config", "default"):
            return str(source), detail if isinstance(detail, str) else None
    return "env", "RUN402_WALLET"


def tell_children(selection: Selection, base: Path) -> None:
    """Pass the choice on through the environment; one of a file that nobody has confirmed is passed on to none."""
    if selection.fault is not None:
        return
    if _may_pass_on(selection, base):
        os.environ["RUN402_WALLET"] = selection.name
        os.environ[_TOLD] = selection.to_json()
        return
    os.environ.pop(_TOLD, None)
    if selection.env_name is not None:
        os.environ.pop("RUN402_WALLET", None)


def _may_pass_on(selection: Selection, base: Path) -> bool:
    try:
        return selection.of_file is None or bindings.may_choose(selection.of_file, base)
    except DamagedState:
        return False
