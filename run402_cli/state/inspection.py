"""All state files of a profile at once, for `doctor`. See docs/protocol/local-state.md, "Damaged files"."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from run402_cli.local_gateway import default_data_dir
from run402_cli.state import catalogue
from run402_cli.state.files import DamagedState, StateFile, read_state_or_array
from run402_cli.state.profile import Profile, upwards, working_directory


def faults(profile: Profile) -> list[DamagedState]:
    """Every state file that is there and cannot be read as what it is. Changes nothing."""
    found = [profile.selection.fault] if profile.selection.fault is not None else []
    seen = {fault.path for fault in found}
    for kind, path in located(profile):
        try:
            read_state_or_array(path, kind)
        except DamagedState as fault:
            if fault.path not in seen:
                seen.add(fault.path)
                found.append(fault)
    return found


def located(profile: Profile) -> Iterator[tuple[StateFile, Path]]:
    """Each kind of file with the paths that this profile reads it from, there or not."""
    known, here = profile.selection.fault is None, working_directory()
    for kind in catalogue.FILES:
        explicit = os.environ.get(kind.variable) if kind.variable else None
        if explicit:
            yield kind, Path(explicit)
        elif kind.place == "base":
            yield from ((kind, path) for path in _named(profile.base, kind.name))
        elif kind.place == "workspace" and here is not None:
            yield kind, here / kind.name
        elif kind.place == "gateway":
            yield kind, default_data_dir() / kind.name
        elif kind.place == "directory" and here is not None:
            yield from ((kind, folder / kind.name) for folder in upwards(here))
        elif kind.place == "wallet" and known:
            yield from ((kind, path) for path in _of_wallet(kind, profile.dir))


def _of_wallet(kind: StateFile, folder: Path) -> list[Path]:
    if kind is catalogue.LEGACY_KEYS:
        # Read once, by whoever looks first; afterwards it is nobody's.
        return [] if os.path.lexists(folder / catalogue.KEYS.name) else [folder / kind.name]
    if kind is catalogue.ALLOWANCE and not os.path.lexists(folder / kind.name):
        return [folder / kind.name, folder / "wallet.json"]
    return _named(folder, kind.name)


def _named(folder: Path, name: str) -> list[Path]:
    return sorted(folder.glob(name)) if "*" in name else [folder / name]
