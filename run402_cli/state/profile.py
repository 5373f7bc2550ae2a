"""Which wallet is active, and where its files are.

Order: `--wallet` flag > RUN402_WALLET (RUN402_PROFILE when that is undefined) > directory binding > config.json >
"default".
See docs/protocol/local-state.md, "Wallet selection".
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from contextvars import ContextVar
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from run402_cli import advice
from run402_cli.errors import CommandError, EnvironmentFault
from run402_cli.state import bindings
from run402_cli.state.bindings import Binding
from run402_cli.state.catalogue import BINDING, CONFIG, LOCAL_BINDING, META
from run402_cli.state.files import DamagedState, read_state
from run402_cli.state.selection import Selection, tell_children, told

if TYPE_CHECKING:
    from run402_cli.state.active import ActiveProjects
    from run402_cli.state.allowance import Allowance, Payer
    from run402_cli.state.keys import KeyCache
    from run402_cli.state.target import Target

DEFAULT = "default"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_BINDING_FILES = (LOCAL_BINDING, BINDING)


def is_wallet_name(name: str) -> bool:
    return name == DEFAULT or _NAME.fullmatch(name) is not None


def base_dir() -> Path:
    """RUN402_CONFIG_DIR, else ~/.config/run402 on every system; inside `acting`, the directory given there."""
    if (scope := _scope.get()) is not None:
        return scope.base
    configured = os.environ.get("RUN402_CONFIG_DIR")
    return Path(configured) if configured else home("RUN402_CONFIG_DIR") / ".config" / "run402"


def home(instead: str | None = None) -> Path:
    """The home directory. EnvironmentFault, naming a variable that does `instead`, where the system knows none."""
    try:
        return Path.home()
    except RuntimeError as exc:
        raise EnvironmentFault(
            "There is no home directory: HOME is not set, and the system knows none for this user.",
            hint=f"Set {f'HOME or {instead}' if instead else 'HOME'} to a directory that you may write to.",
        ) from exc


def working_directory() -> Path | None:
    """The current directory, or None when it was deleted under this process: then nothing is bound or linked in it."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None


def profile_dir(name: str) -> Path:
    """The directory of a wallet; the name is checked so that it cannot leave the config directory."""
    if not is_wallet_name(name):
        raise bad_wallet_name(name, "profile")
    return base_dir() if name == DEFAULT else base_dir() / "profiles" / name


class Scope(NamedTuple):
    """What a block of code takes for its own instead of the environment's: a config directory and maybe a profile."""

    base: Path
    profile: Profile | None = None


_scope: ContextVar[Scope | None] = ContextVar("run402_scope", default=None)


@contextlib.contextmanager
def acting(scope: Scope) -> Iterator[None]:
    """Let `base_dir` and `current` answer with `scope` inside the block: several profiles live in one process."""
    before = _scope.set(scope)
    try:
        yield
    finally:
        _scope.reset(before)


def select(flag: tuple[str, str] | None) -> Selection:
    """Resolve the wallet. `flag` is (flag name, value) when `--wallet` or `--profile` was given. Checks nothing."""
    env_name = _env_wallet()
    folder = working_directory()
    try:
        binding = None if folder is None else find_binding(folder)
    except DamagedState as fault:
        if flag is None:
            return Selection(env_name or DEFAULT, "binding", str(fault.path), None, env_name, fault)
        binding = None
    if flag is not None:
        return Selection(flag[1], "flag", flag[0], binding, env_name)
    if env_name is not None:
        source, detail = told(env_name)
        return Selection(env_name, source, detail, binding, env_name)
    if binding is not None:
        return Selection(binding.wallet, "binding", binding.file, binding)
    try:
        configured = read_state(base_dir() / "config.json", CONFIG) or {}
    except DamagedState as fault:
        return Selection(DEFAULT, "config", str(fault.path), fault=fault)
    name = configured.get("active_wallet") or DEFAULT
    return Selection(DEFAULT, "default", None) if name == DEFAULT else Selection(name, "config", "wallets use")


def check(selection: Selection, *, needs_wallet: bool, allow_conflict: bool) -> None:
    """Refuse an invalid name, a conflict between environment and binding, or a wallet that does not exist.

    Of a selection with a fault nothing is known; it is refused where a wallet is needed.
    """
    if selection.fault is not None:
        if needs_wallet:
            raise selection.fault
        return
    if not is_wallet_name(selection.name):
        origin = selection.detail or selection.source
        raise bad_wallet_name(selection.name, origin)
    if selection.diverged and selection.source != "flag" and not allow_conflict:
        raise _conflict(selection)
    if needs_wallet and selection.name != DEFAULT and not _has_allowance(selection.name):
        raise wallet_not_found(selection.name, source=selection.source)


def _has_allowance(name: str) -> bool:
    explicit = os.environ.get("RUN402_ALLOWANCE_PATH")
    if explicit and os.path.lexists(explicit):
        return True
    folder = profile_dir(name)
    return any(os.path.lexists(folder / file) for file in ("allowance.json", "wallet.json"))


def _env_wallet() -> str | None:
    key = "RUN402_WALLET" if "RUN402_WALLET" in os.environ else "RUN402_PROFILE"
    return os.environ.get(key, "").strip() or None


def find_binding(start: Path) -> Binding | None:
    """The nearest directory binding of this user at or above `start`: state/bindings.py says which count.

    DamagedState when a file of that name cannot be read as one.
    """
    for folder in upwards(start):
        for kind in _BINDING_FILES:
            path = folder / kind.name
            value = read_state(path, kind) if bindings.counts(path) else None
            if value is not None:
                return Binding(value["wallet"].strip(), str(path))
    return None


def upwards(start: Path) -> Iterator[Path]:
    """`start` and the directories above it, without those that this user may not enter."""
    return (folder for folder in (start, *start.parents) if os.access(folder, os.X_OK))


def bad_wallet_name(name: str, origin: str | None = None) -> CommandError:
    details: dict[str, Any] = {"name": name}
    if origin is not None:
        details["origin"] = origin
    return CommandError(
        f"{name!r} is not a wallet name.",
        code="BAD_WALLET_NAME",
        hint="Use lowercase letters, digits, - and _, starting with a letter or digit, at most 64 characters.",
        details=details,
    )


def wallet_not_found(name: str, *, source: str | None = None) -> CommandError:
    details: dict[str, Any] = {"name": name} if source is None else {"wallet": name, "source": source}
    if name.lower().startswith("0x"):
        hint = "That looks like an address; wallets are chosen by name. List them: run402 wallets list"
    else:
        hint = f"List wallets with `run402 wallets list`, or create this one: {advice.command('wallets', 'new', name)}"
    return CommandError(f"There is no wallet named {name!r} here.", code="WALLET_NOT_FOUND", hint=hint, details=details)


def _conflict(selection: Selection) -> CommandError:
    assert selection.binding is not None
    return CommandError(
        f"The environment selects wallet {selection.env_name!r}, {selection.binding.file} {selection.binding.wallet!r}.",
        code="WALLET_SELECTION_CONFLICT",
        hint=f"Say which one: --wallet {selection.binding.wallet} or --wallet {selection.env_name}; or unset RUN402_WALLET.",
        details={
            "env_wallet": selection.env_name,
            "binding_wallet": selection.binding.wallet,
            "binding_file": selection.binding.file,
        },
    )


class Profile:
    """The active wallet's files, opened on first use. One per process; commands receive it from `current()`."""

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self.base = base_dir()
        self._dir = profile_dir(selection.name)

    @property
    def name(self) -> str:
        """The wallet's name. Raises DamagedState when the file that says which one it is cannot be read."""
        self._require_known()
        return self.selection.name

    @property
    def dir(self) -> Path:
        """The wallet's directory. Raises like `name`."""
        self._require_known()
        return self._dir

    def _require_known(self) -> None:
        if self.selection.fault is not None:
            raise self.selection.fault

    def require_confirmed(self) -> None:
        """CommandError BINDING_NOT_CONFIRMED when a file of a repository chose the wallet and nobody has agreed to it."""
        if (file_choice := self.selection.of_file) is not None:
            bindings.require_confirmed(file_choice, self.base)

    @property
    def scope(self) -> Scope:
        """For `acting`: this profile with its config directory."""
        return Scope(self.base, self)

    @cached_property
    def target(self) -> Target:
        """The API base that requests go to, and its kind. EnvironmentFault (BAD_ENV) for an unusable address or file."""
        from run402_cli.state.target import resolve_target

        return resolve_target(self.dir)

    @cached_property
    def allowance(self) -> Allowance | None:
        """The wallet key, or None. Raises DamagedState when there is a file that is no wallet, and as `require_confirmed`."""
        from run402_cli.state.allowance import load_allowance

        self.require_confirmed()
        return load_allowance(self.dir)

    @property
    def payer(self) -> Payer:
        """Whose limits and payments these are. Nothing is signed, so no confirmation is needed; raises as `load_allowance`."""
        from run402_cli.state.allowance import Payer, load_allowance

        wallet = self.__dict__.get("allowance") or load_allowance(self.dir)
        return Payer(self.base, self.dir, None if wallet is None else wallet.address)

    @cached_property
    def keys(self) -> KeyCache:
        """The cached project keys of this wallet. Raises as `require_confirmed`."""
        from run402_cli.state.keys import KeyCache

        self.require_confirmed()
        return KeyCache(self.dir, wallet=self.name)

    @cached_property
    def active(self) -> ActiveProjects:
        """The active-project pointers of this wallet."""
        from run402_cli.state.active import ActiveProjects

        return ActiveProjects(
            self.dir,
            self.name,
            api_base=lambda: self.target.api_base,
            principal=lambda: self.allowance.address if self.allowance else None,
            migrate=lambda: self.keys.all(),
        )

    @cached_property
    def meta(self) -> dict[str, Any]:
        """meta.json: name, address, label, rail, created. Not secret; empty when absent. Raises DamagedState."""
        return read_state(self.dir / "meta.json", META) or {}

    def require_readable(self, *, signs: bool = True, target: bool = True) -> None:
        """Before the first request: DamagedState when one of the wallet's files is there and cannot be read as what it is.

        So nothing is sent by a command that would stop half-way. What a flag or variable has decided alone is not looked at
        (`active.decided`): `signs` is False when another credential than the wallet's decides, `target` is False when the call
        has an address of its own.
        """
        from run402_cli.state.limits import require_readable

        if target:
            _ = self.target
        if signs:
            _ = self.allowance
            require_readable(self.payer)
        self.keys.all()
        if not self.active.decided:
            self.active.read()
        _ = self.meta


_current: Profile | None = None


def activate(selection: Selection) -> Profile:
    """Make the selection the process's profile and pass it on to child processes through the environment.

    What a file chose and nobody has confirmed is passed on to none.
    """
    global _current
    _current = Profile(selection)
    tell_children(selection, _current.base)
    return _current


def chosen() -> Selection:
    """The choice of this process, which is made once; before that, what files and environment choose now."""
    return select(None) if _current is None else _current.selection


def opened(*, wallet: str | None = None, api_base: str | None = None, base: Path | None = None) -> Profile:
    """A profile of its own, beside the process's; the environment is read where an argument is None, never changed.

    Raises CommandError BAD_WALLET_NAME, WALLET_NOT_FOUND (for a wallet that was named here), WALLET_SELECTION_CONFLICT;
    EnvironmentFault for an unusable `api_base`.
    """
    with acting(Scope(base or base_dir())):
        selection = select(None if wallet is None else ("wallet", wallet))
        check(selection, needs_wallet=wallet is not None, allow_conflict=False)
        profile = Profile(selection)
        if api_base is not None:
            from run402_cli.state.target import explicit_target

            profile.target = explicit_target(profile.dir, api_base)
        return profile


def current() -> Profile:
    """The profile of this process; selected from the environment when used as a library."""
    if (scope := _scope.get()) is not None and scope.profile is not None:
        return scope.profile
    if _current is None:
        selection = select(None)
        check(selection, needs_wallet=False, allow_conflict=False)
        return activate(selection)
    return _current
