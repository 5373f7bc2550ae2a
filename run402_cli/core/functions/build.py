"""From a bundle to files that Node can import: sources, packages, and the helper library beside them."""

from __future__ import annotations

import asyncio
import json
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any
from weakref import WeakValueDictionary

from run402_cli.core.content.store import ContentStore
from run402_cli.core.errors import GatewayError
from run402_cli.core.functions.bundle_rows import Bundle
from run402_cli.core.functions.node import check_modules, install

LIBRARY = "@run402/functions"
LIBRARY_VERSION = "4.0.0"
# A lock file of npm: the library and all that it needs, by version and integrity hash.
LIBRARY_LOCK = Path(__file__).with_name("library-lock.json")
SINGLE = "index.mjs"
_BRIDGE = "run402-library.mjs"
_DONE = "run402-build.json"
MODULES = (".js", ".mjs", ".cjs", ".ts", ".mts", ".cts")


@dataclass(frozen=True, slots=True)
class Built:
    """What a worker is told to load. `library` is a module that re-exports the helper library, if the code uses it."""

    entry: Path
    handler: str
    library: Path | None


class Builder:
    """Builds below `<data>/functions/apps-<library version>`, where Node finds the helper library one level up."""

    def __init__(self, folder: Path, store: ContentStore) -> None:
        self.root = folder / f"apps-{LIBRARY_VERSION}"
        self.store = store
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def build(self, bundle: Bundle) -> tuple[Bundle, Built]:
        """The files of a bundle, and the bundle with the lock of its packages. Does nothing when they are there.

        422 invalid_function_bundle with file, line and message for code that cannot be parsed, imports what is not
        there, or does not export what a call needs; 503 or 422 when packages cannot be installed.
        """
        lock = self._locks.get(bundle.build_key)
        if lock is None:
            lock = self._locks[bundle.build_key] = asyncio.Lock()
        async with lock:
            built = await asyncio.to_thread(self._existing, bundle)
            if built is None:
                bundle, built = await self._fresh(bundle)
        return bundle, built

    async def check(self, bundle: Bundle) -> None:
        """Refuse what `build` would refuse of the sources alone, without installing or keeping anything.

        Every object of the bundle has to be in the store. 422 and 503 as from `build`.
        """
        if await asyncio.to_thread(self._existing, bundle) is not None:
            return
        temporary = self.root / f".new-{uuid.uuid4().hex}"
        entry, handler = entry_of(bundle)
        try:
            files = await asyncio.to_thread(self._write, temporary, bundle, entry)
            # What the packages bring is known when they are installed.
            report = await check_modules(temporary, files, entry, handler, any_package=bool(bundle.entry["deps"]))
            _refuse_problems(bundle.name, report["problems"])
        finally:
            await asyncio.to_thread(shutil.rmtree, temporary, True)

    def _existing(self, bundle: Bundle) -> Built | None:
        folder = self.root / bundle.build_key
        try:
            facts = json.loads((folder / _DONE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return self._built(folder, facts)

    def _built(self, folder: Path, facts: Mapping[str, Any]) -> Built:
        return Built(folder / facts["entry"], facts["handler"], folder / _BRIDGE if facts["library"] else None)

    async def _fresh(self, bundle: Bundle) -> tuple[Bundle, Built]:
        temporary = self.root / f".new-{uuid.uuid4().hex}"
        entry, handler = entry_of(bundle)
        try:
            files = await asyncio.to_thread(self._write, temporary, bundle, entry)
            if bundle.entry["deps"]:
                bundle = replace(bundle, lock=await _packages(temporary, bundle))
            report = await check_modules(temporary, files, entry, handler)
            _refuse_problems(bundle.name, report["problems"])
            library = any(LIBRARY in text for text in files.values())
            if library:
                await self._library()
                (temporary / _BRIDGE).write_text(f'export * from "{LIBRARY}";\n', encoding="utf-8")
            await asyncio.to_thread(_write_compiled, temporary, report["modules"])
            facts = {"entry": entry, "handler": handler, "library": library}
            (temporary / _DONE).write_text(json.dumps(facts), encoding="utf-8")
            final = self.root / bundle.build_key
            await asyncio.to_thread(_move, temporary, final)
            return bundle, self._built(final, facts)
        finally:
            await asyncio.to_thread(shutil.rmtree, temporary, True)

    def _write(self, folder: Path, bundle: Bundle, entry: str) -> dict[str, str]:
        """Put the sources there; the text of every module. Without an ending only the entry is one."""
        folder.mkdir(parents=True)
        refs = dict(bundle.code["files"]) or {SINGLE: bundle.code["source"]}
        texts = {}
        for path, ref in refs.items():
            data = self._read(bundle.name, ref["sha256"])
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            if path.endswith(MODULES) or (path == entry and not PurePosixPath(path).suffix):
                texts[path] = _text(bundle.name, path, data)
        # Also .js files are modules here, and packages of a folder above are not this function's.
        package = {"name": "function", "private": True, "type": "module"}
        if "package.json" not in refs:
            (folder / "package.json").write_text(json.dumps(package), encoding="utf-8")
        return texts

    def _read(self, name: str, sha256: str) -> bytes:
        try:
            return self.store.read(sha256)
        except OSError as exc:
            raise GatewayError(
                409,
                "content_digest_missing",
                f"The code {sha256} of the function {name} is gone from the content directory. Deploy it again.",
                function_name=name,
            ) from exc

    async def _library(self) -> None:
        """The helper library in its one place, installed on first use."""
        lock = self._locks.get(LIBRARY)
        if lock is None:
            lock = self._locks[LIBRARY] = asyncio.Lock()
        async with lock:
            manifest = self.root / "node_modules" / LIBRARY / "package.json"
            if await asyncio.to_thread(manifest.exists):
                return
            _lock(self.root, json.loads(LIBRARY_LOCK.read_text(encoding="utf-8")), "functions-library")
            await install(self.root, [f"{LIBRARY}@{LIBRARY_VERSION}"], locked=True)


def _lock(folder: Path, lock: Mapping[str, Any], name: str, **more: str) -> None:
    """A folder for which npm installs what the lock says, and nothing else."""
    wanted = lock["packages"][""]["dependencies"]
    manifest = {"name": name, "private": True, **more, "dependencies": wanted}
    (folder / "package.json").write_text(json.dumps(manifest), encoding="utf-8")
    (folder / "package-lock.json").write_text(json.dumps(lock), encoding="utf-8")


async def _packages(folder: Path, bundle: Bundle) -> dict[str, Any]:
    """Install `deps`: as locked at an earlier deploy, else their newest versions now. Returns the lock file."""
    packages = list(bundle.entry["deps"])
    locked = bundle.lock is not None
    if bundle.lock is not None:
        _lock(folder, bundle.lock, "function", type="module")
    try:
        await install(folder, packages, locked=locked)
    except GatewayError as exc:
        exc.fields |= {"function_name": bundle.name, "resource": f"functions.{bundle.name}.deps"}
        raise
    lock: dict[str, Any] = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))
    return lock


def entry_of(bundle: Bundle) -> tuple[str, str]:
    """(module, export) of a function. With `files` the entrypoint is a path, else the name of an export.

    422 invalid_function_bundle for a path that is not among the files or has an ending that Node cannot run.
    """
    entrypoint = bundle.code["entrypoint"]
    if not bundle.code["files"]:
        return SINGLE, entrypoint or "default"
    path, _, handler = (entrypoint or "").partition("#")
    path = path.removeprefix("./")
    if path not in bundle.code["files"]:
        known = ", ".join(list(bundle.code["files"])[:10])
        raise invalid_bundle(
            bundle.name, "entrypoint_missing", f"entrypoint is {entrypoint!r} and must be one of: {known}"
        )
    ending = PurePosixPath(path).suffix
    if ending and ending not in (*MODULES, ".wasm"):
        raise invalid_bundle(
            bundle.name,
            "entrypoint_ending",
            f"Node cannot run {path}, which the entrypoint names: its ending is {ending}. Make it JavaScript or TypeScript"
            f" and name that file: {' '.join(MODULES)}",
            file=path,
        )
    return path, handler or "default"


def _text(name: str, path: str, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise invalid_bundle(name, "not_utf8", f"{path} is not UTF-8 text (byte {exc.start})", file=path) from exc


def _refuse_problems(name: str, problems: list[dict[str, Any]]) -> None:
    if not problems:
        return
    first = problems[0]
    shown = f"{name}.mjs" if first["file"] == SINGLE else first["file"]
    place = ":".join(str(part) for part in (shown, first.get("line"), first.get("column")) if part is not None)
    reason = first.get("reason") or ("missing_import" if "line" not in first else "syntax_error")
    remedy = f". Add it to deps: --deps {first['missing']}" if "missing" in first else ""
    fields = {key: first[key] for key in ("line", "column") if key in first}
    detail = f"{place}: {first['message']}{remedy}"
    raise invalid_bundle(name, reason, detail, file=shown, detail=first["message"], **fields)


def invalid_bundle(name: str, reason: str, message: str, **fields: Any) -> GatewayError:
    """422 invalid_function_bundle. The phase is that of the caller."""
    # A line to write stands as it is.
    end = "" if message.endswith((";", "}")) else "."
    return GatewayError(
        422,
        "invalid_function_bundle",
        f"The function {name} cannot be deployed: {message.rstrip('.')}{end}",
        function_name=name,
        reason=reason,
        resource=f"functions.{name}",
        retryable=False,
        **fields,
    )


def _write_compiled(folder: Path, modules: Mapping[str, Any]) -> None:
    """Replace TypeScript by what is left without types, under the names that other modules import."""
    for path, facts in modules.items():
        if "code" in facts:
            (folder / path).write_text(facts["code"], encoding="utf-8")


def _move(temporary: Path, final: Path) -> None:
    if final.exists():
        shutil.rmtree(final, ignore_errors=True)
    temporary.replace(final)
