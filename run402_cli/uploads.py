"""Which local files may leave this machine: the one place that decides, for every command, tool and call that uploads.

A file that a manifest, an archive or an MCP client names is read only inside the workspace, links followed. Files of this
program and the usual secret files are read by nobody. See docs/deploy.md, "Which files are read".
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import stat
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from run402_cli.errors import CommandError
from run402_cli.local_gateway import MARKER, default_data_dir
from run402_cli.secret_names import is_key, is_secret_name

OUTSIDE: Final = "PATH_OUTSIDE_WORKSPACE"
REFUSED: Final = "SECRET_FILE_REFUSED"

# Windows needs O_BINARY; a FIFO must not block the open that finds out that it is one.
_OPEN_FLAGS: Final = (
    os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
)
_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)

VERSION_CONTROL: Final = frozenset({".git", ".svn", ".hg", ".bzr", ".jj", "CVS", "_darcs"})
_VERSION_CONTROL: Final = frozenset(name.lower() for name in VERSION_CONTROL)
# Below the home directory, on every system: none of what is there is made for publication.
_SECRET_PLACES: Final = (".ssh", ".gnupg", ".aws", ".azure", ".docker", ".kube", ".config/gcloud", ".config/gh")
# The kernel's view of processes: an environment, the open files of another one. Devices are no regular files.
_KERNEL: Final = ("/proc/", "/sys/")
_PIPE: Final = re.compile(r"/fd/pipe:\[\d+\]$")

_FLAG: Final = "add --allow-outside"

_Identity = tuple[int, int]
_exists = os.path.exists  # of a directory that may not be entered it says that nothing is there


class Bounds(NamedTuple):
    """What may be read. `roots` are the directories that hold it; None: the path is the user's own word.

    `remedy` says in one sentence how a file outside is allowed nevertheless. `names` is False where a secret is what is
    asked for (`secrets set --file`): then a file may have a secret's name. The files of this program stay refused.
    """

    roots: tuple[Path, ...] | None = None
    remedy: str = _FLAG
    names: bool = True

    def and_below(self, *folders: Path) -> Bounds:
        """These bounds and more directories, which the user named."""
        return self if self.roots is None else Bounds((*self.roots, *folders), self.remedy, self.names)


TYPED: Final = Bounds()
SECRET: Final = Bounds(names=False)


def workspace(folder: Path, *, allow_outside: bool = False, remedy: str | None = None) -> Bounds:
    """The bounds of what is named in `folder`: its git work tree, else the directory itself; no bounds when allowed."""
    if allow_outside:
        return TYPED
    return Bounds((root_of(folder),), remedy or _FLAG)


def root_of(folder: Path) -> Path:
    """The root of the git work tree that holds a directory, else the directory; links resolved.

    A home directory, what is above it, and a `.git` that another user may have put there make no work tree of what is below.
    """
    real = Path(os.path.realpath(folder))
    for place in (real, *real.parents):
        if holds_home(place):
            break
        if _exists(place / ".git"):
            return place if _is_own(place / ".git") else real
    return real


def holds_home(folder: Path) -> bool:
    """Whether a directory (links resolved) is the user's home or above it."""
    return any(folder == home or folder in home.parents for home in _homes())


def _here() -> Path:
    """The working directory, or the root of the file system when it was deleted."""
    try:
        return Path(os.path.realpath(Path.cwd()))
    except OSError:
        return Path(os.sep)


def _is_own(path: Path) -> bool:
    try:
        return not hasattr(os, "geteuid") or path.lstat().st_uid in (os.geteuid(), 0)
    except OSError:
        return False


def _homes() -> list[Path]:
    try:
        return [Path(os.path.realpath(Path.home()))]
    except RuntimeError:
        return []


class Gate:
    """Opens files within bounds. One for each pass over many files: what it knows of a directory it asks once."""

    def __init__(self, bounds: Bounds = TYPED) -> None:
        self.bounds = bounds
        self._here: Path | None = None
        self._linked: dict[_Identity, str] | None = None
        self._listed: set[Path] = set()
        self._listing = threading.Lock()
        # By directory: its real path; why nothing of it is read, and the root that it is in.
        self._folders: dict[str, str] = {}
        self._known: dict[str, tuple[str | None, Path | None]] = {}

    def check(self, path: Path) -> str:
        """The real path of a file that may be read, whether or not it is there. CommandError OUTSIDE or REFUSED."""
        try:
            if b"\0" in os.fsencode(path):
                raise ValueError(path)
            return self._checked(os.path.abspath(path))  # noqa: PTH100
        except ValueError as exc:  # a NUL, half of a surrogate pair
            raise CommandError(
                f"{str(path)!r} is not a file name.", code="FILE_NOT_FOUND", hint="Correct the path.", details={}
            ) from exc

    def _checked(self, written: str) -> str:
        folder, name = os.path.split(written)
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        real = os.path.join(self._folders[folder], name)  # noqa: PTH118
        if not name or os.path.islink(real) or os.name == "nt":  # noqa: PTH114
            real = os.path.realpath(written)
        self._decide(written, real)
        return real

    def open(self, path: Path, *, follow: bool = True) -> int:
        """A descriptor of the file, opened for reading, checked before and after. Whoever reads looks at what kind it is.

        Raises like `check`, and OSError. `follow` is False for a file that must not be a link.
        """
        real = self.check(path)
        descriptor = os.open(path, _OPEN_FLAGS | (0 if follow else _NO_FOLLOW))
        try:
            self._compare(path, real, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def check_content(self, path: Path, beginning: bytes) -> None:
        """CommandError REFUSED for a file that is a key whatever it is called; `beginning`: its first bytes."""
        if self.bounds.names and is_key(beginning):
            raise _refused(path, os.path.realpath(path), "holds a private key or a service key")

    def _compare(self, path: Path, real: str, descriptor: int) -> None:
        """What was opened is what was looked at: a directory or link may have changed in between."""
        opened = _path_of(descriptor) or os.path.realpath(path)
        if opened != real:
            self._decide(os.path.abspath(path), opened)  # noqa: PTH100
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
            self._decide_hard_link(path, opened, (found.st_dev, found.st_ino))

    def _decide_hard_link(self, path: Path, real: str, identity: _Identity) -> None:
        """A file with several names may be one that is private under another. Package managers link what they install."""
        with self._listing:
            if self._linked is None:
                self._linked = _private_files()
            for folder in {*Path(real).parents, *_homes()} - self._listed if self.bounds.names else ():
                self._listed.add(folder)
                self._linked |= _secret_files(folder)
            other = self._linked.get(identity)
        if other is not None:
            raise _refused(path, real, f"is a hard link of {other}, which is never uploaded")
        if self.bounds.roots is not None and "node_modules" not in Path(real).parts:
            raise _hard_link(str(path), real, self.bounds)

    def _decide(self, written: str, real: str) -> None:
        root = next((root for root in self.bounds.roots or () if str(root) == real), None)
        if root is not None:
            why = self._private(root)
        else:
            folder, name = os.path.split(real)
            if folder not in self._known:
                self._known[folder] = self._look(Path(folder))
            why, root = self._known[folder]
            why = why or self._look_at(real, {name, os.path.basename(written)})  # noqa: PTH119
        if why is not None:
            raise _refused(written, real, why)
        if self.bounds.roots is not None and root is None:
            raise _outside(written, real, self.bounds)

    def _look(self, folder: Path) -> tuple[str | None, Path | None]:
        """Why nothing of a directory is read, and the root that it is in."""
        root = self._root_of(folder)
        if (why := self._private(folder)) is not None:
            return why, root
        if root is None and self._here is None:
            self._here = _here()
        below = (root or self._here or folder).parts
        parts = folder.parts[len(below) :] if folder.parts[: len(below)] == below else folder.parts
        return self._secret(parts), root

    def _look_at(self, real: str, names: set[str]) -> str | None:
        """Why a file in a directory that may be read is not."""
        if real.startswith(_KERNEL) and not _PIPE.search(real):
            return "is a file of the kernel"
        if os.name == "nt" and any(":" in name for name in names):
            return "names a stream of a file"
        if real in self._private_names:
            return "is a place of which nothing is ever uploaded"
        if self._names_allowance and _identity(Path(real)) in self._private_places:
            return "is a file of run402, which holds keys"
        return self._secret(names)

    def _secret(self, names: Iterable[str]) -> str | None:
        for name in names if self.bounds.names else ():
            if is_secret_name(name) or name.lower() in _VERSION_CONTROL:
                return f"has a name that credentials usually have ({name})"
        return None

    def _private(self, folder: Path) -> str | None:
        places = self._private_places
        above = ((_identity(each) or (0, 0), each) for each in (folder, *folder.parents))
        found = next((places.get(what, each) for what, each in above if what in places or _exists(each / MARKER)), None)
        return None if found is None else f"is in {found}, of which nothing is ever uploaded"

    def _root_of(self, folder: Path) -> Path | None:
        """The root that a directory is in: by its name, and by what directories are where names have several spellings."""
        above = (folder, *folder.parents)
        for root in self.bounds.roots or ():
            if root in above:
                return root
            wanted = _identity(root)
            if wanted is not None and any(_identity(place) == wanted for place in above):
                return root
        return None

    @functools.cached_property
    def _names_allowance(self) -> bool:
        return bool(os.environ.get("RUN402_ALLOWANCE_PATH"))

    @functools.cached_property
    def _private_names(self) -> frozenset[str]:
        # What is in them is found by what the directory is; the directory itself by its name, which costs nothing.
        return frozenset(os.path.realpath(place) for place in private_places())

    @functools.cached_property
    def _private_places(self) -> dict[_Identity, Path]:
        named = [(_identity(place), place) for place in private_places()]
        return {identity: place for identity, place in named if identity is not None}


def read(path: Path, bounds: Bounds, limit: int = -1) -> bytes:
    """At most `limit` bytes of a regular file, or of a pipe that the user typed. Raises like `Gate.open`, and OSError."""
    descriptor = Gate(bounds).open(path)
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "it is a directory", str(path))
        if stat.S_ISFIFO(mode) and bounds.roots is None:
            os.set_blocking(descriptor, True)
        elif not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        return file.read(limit)


def private_places() -> Iterator[Path]:
    """Of what is here nothing is ever uploaded: the configuration, the gateway's data, keys of other programs."""
    from run402_cli.state.profile import base_dir

    yield base_dir()
    yield default_data_dir()
    yield from _saved_data_dirs(base_dir())
    if allowance := os.environ.get("RUN402_ALLOWANCE_PATH"):
        yield Path(allowance)
    for home in _homes():
        yield home / ".config" / "run402"
        yield from _saved_data_dirs(home / ".config" / "run402")
        yield from (home / place for place in _SECRET_PLACES)


def _saved_data_dirs(base: Path) -> Iterator[Path]:
    """The data directories of the local gateways that the wallets of a configuration directory have chosen."""
    import json

    for file in (base / "target.json", *base.glob("profiles/*/target.json")):
        with contextlib.suppress(OSError, ValueError, RecursionError):
            target = json.loads(file.read_bytes())
            if isinstance(target, dict) and isinstance(data_dir := target.get("data_dir"), str) and data_dir:
                yield Path(data_dir)


def _private_files() -> dict[_Identity, str]:
    """The files of the private places, by what they are."""
    found: dict[_Identity, str] = {}
    for place in private_places():
        for folder, _folders, names in os.walk(place):
            found |= _identities(folder, names)
        found |= _identities(str(place.parent), [place.name] if place.is_file() else [])
    return found


def _secret_files(folder: Path) -> dict[_Identity, str]:
    """Those of a directory that have names of secret files, by what they are."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        return _identities(str(folder), [entry.name for entry in entries if is_secret_name(entry.name)])
    return {}


def _identities(folder: str, names: Iterable[str]) -> dict[_Identity, str]:
    paths = (os.path.join(folder, name) for name in names)  # noqa: PTH118
    return {identity: path for path in paths if (identity := _identity(Path(path))) is not None}


def _identity(path: Path) -> _Identity | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


@functools.cache
def _lists_descriptors() -> bool:
    return os.path.isdir("/proc/self/fd")  # noqa: PTH112


def _path_of(descriptor: int) -> str | None:
    """Where an open file is, as the system knows it; None where it does not tell."""
    try:
        if _lists_descriptors():
            return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
        import fcntl

        if hasattr(fcntl, "F_GETPATH"):
            return fcntl.fcntl(descriptor, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0").decode()
    except (ImportError, OSError, ValueError):
        pass
    return None


def _refused(path: Path | str, real: str, why: str) -> CommandError:
    return CommandError(
        f"{_shown(str(path), real)} {why}. Nothing was read or written.",
        code=REFUSED,
        hint="No flag allows it. Give another file, or rename one that holds no secret.",
        details={"path": str(path), "resolved_path": real},
    )


def _outside(path: str, real: str, bounds: Bounds) -> CommandError:
    roots = [str(root) for root in bounds.roots or ()]
    where = f"the workspace {' and '.join(roots)}" if roots else "every workspace: there is none here"
    return CommandError(
        f"{_shown(path, real)} is outside of {where}. Nothing was read or written.",
        code=OUTSIDE,
        hint=f"Use a file of the workspace. Where you trust who wrote this path, {bounds.remedy}.",
        details={"path": path, "resolved_path": real, "workspace": roots[0] if roots else None},
        next_actions=_allowed(bounds),
    )


def _hard_link(path: str, real: str, bounds: Bounds) -> CommandError:
    return CommandError(
        f"{_shown(path, real)} has another name on this disk (a hard link), perhaps outside of the workspace. "
        "Nothing was read or written.",
        code=OUTSIDE,
        hint=f"Make it a file of its own: copy it over itself. Where you know the other name, {bounds.remedy}.",
        details={"path": path, "resolved_path": real, "workspace": str((bounds.roots or ("",))[0])},
        next_actions=_allowed(bounds),
    )


def _allowed(bounds: Bounds) -> list[dict[str, Any]]:
    from run402_cli import advice, as_typed

    if bounds.remedy != _FLAG or not as_typed.words():
        return []
    why = "Only when you trust who wrote the manifest: it may read any file of yours."
    return [advice.run(*as_typed.again("--allow-outside"), why=why, confirms=True)]


def _shown(path: str, real: str) -> str:
    return path if os.path.normpath(path) == real else f"{path} (that is {real})"
