"""Where the tools of a server read and write local files: below one directory. See docs/how-to/mcp.md."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from run402_cli.mcp import _names
from run402_cli.services.output_file import require_free
from run402_cli.uploads import TYPED, Bounds, Gate, holds_home, root_of

_REMEDY = "start the server with another root (`run402 mcp --root <dir>`) or with `run402 mcp --allow-outside`"


@dataclass(frozen=True, slots=True)
class Files:
    """`root` holds what tools read and write; None: this server has no such directory. `anywhere`: no root bounds reading.

    `programs`: tools may run programs of this machine, a manifest that is one and build commands, and write what programs
    read as code or settings.
    """

    root: Path | None
    anywhere: bool = False
    programs: bool = False

    @property
    def bounds(self) -> Bounds:
        """What tools may read for upload."""
        return TYPED if self.anywhere else self._below

    def _parts(self, real: Path) -> tuple[str, ...]:
        """The names below the root."""
        return (
            real.relative_to(self.root).parts
            if self.root is not None and real.is_relative_to(self.root)
            else real.parts
        )

    @property
    def _below(self) -> Bounds:
        return Bounds(() if self.root is None else (self.root,), _REMEDY)

    def folder(self, name: str) -> Path:
        """A directory or archive that a tool was told to take, absolute. CommandError when it may not be read."""
        path = Path(name).absolute()
        Gate(self.bounds).check(path)
        return path

    def target(self, name: str, *, overwrite: Any = False) -> Path:
        """The file that a tool may write, its links resolved. CommandError outside of the root, and FILE_EXISTS."""
        real = Path(Gate(self._below).check(Path(name)))
        if not self.programs:
            _names.check(name, self._parts(real), self.root)
        require_free(
            real, overwrite=overwrite is True, how="Say overwrite: true to replace it, or give another output_path."
        )
        return real


def files(root: str | None = None, *, allow_outside: bool = False, programs: bool = False) -> Files:
    """The files of a server: below `root`, else below the git work tree or directory in which it runs.

    A home directory, and what is above it, is taken for a root only when it was named.
    """
    if root is not None:
        return Files(Path(os.path.realpath(root)), allow_outside, programs)
    here = Path(os.path.realpath(Path.cwd()))
    wide = here == Path(here.anchor) or holds_home(here)
    return Files(None if wide else root_of(here), allow_outside, programs)
