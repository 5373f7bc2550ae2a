"""The static-site deploy: staging of inline files, and the short result of a deploy. See docs/deploy.md, "Sites"."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from run402_cli import uploads
from run402_cli.errors import ValidationError
from run402_cli.release.entries import Base
from run402_cli.release.sources import decode_base64, utf8
from run402_cli.uploads import Gate, workspace

_COUNTERS = (
    *("unchanged", "changed", "added", "removed", "newly_uploaded_cas_bytes", "reused_cas_bytes"),
    "deployment_copy_bytes_eliminated",
)


def site_files(document: Any) -> list[Mapping[str, Any]]:
    """The `files` of a sites manifest; anything that is no list holds no files."""
    files = document.get("files") if isinstance(document, Mapping) else None
    return list(files) if isinstance(files, list) else []


def stage(files: list[Mapping[str, Any]], folder: Path, *, base_dir: Path | None, allow_outside: bool = False) -> None:
    """Write the files of a sites manifest below `folder`.

    An entry is {file, data, encoding?: utf-8 | base64} or {path, file?}; paths are read from `base_dir`, and are
    refused without one (manifest from standard input), and outside of its workspace unless `allow_outside` (CommandError).
    Raises ValidationError BAD_FIELD or FILE_NOT_FOUND, LOCAL_ERROR for a target outside.
    """
    base = None if base_dir is None else Base(base_dir, Gate(workspace(base_dir, allow_outside=allow_outside)))
    for index, entry in enumerate(files):
        where = f"files[{index}]"
        if not isinstance(entry, Mapping):
            raise _bad(f"{where} must be an object with file and data, or with path.", where)
        target = entry.get("file", entry.get("path"))
        if not isinstance(target, str) or not target:
            raise _bad(f"{where}.file must name the target path.", f"{where}.file")
        place = _below(folder, target, where)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(_content(entry, where, base))


def _content(entry: Mapping[str, Any], where: str, base: Base | None) -> bytes:
    data, encoding = entry.get("data"), entry.get("encoding", "utf-8")
    if encoding not in ("utf-8", "base64"):
        raise _bad(f"{where}.encoding must be utf-8 or base64.", f"{where}.encoding")
    if isinstance(data, str):
        return decode_base64(data) if encoding == "base64" else utf8(data)
    if data is not None or not isinstance(entry.get("path"), str):
        raise _bad(f"{where} needs data (a string) or path.", f"{where}.data")
    if base is None:
        raise _bad(
            f"{where} names a path, which a manifest from standard input cannot: there is nothing it is relative to. "
            "Use --manifest <file>, or give data.",
            f"{where}.path",
        )
    try:
        return uploads.read(base.folder / str(entry["path"]), base.gate.bounds)
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise ValidationError(
            f"{where}: cannot read {entry['path']!r}: {reason}.",
            code="FILE_NOT_FOUND",
            details={"field": f"{where}.path", "path": entry["path"]},
        ) from exc


def _below(folder: Path, target: str, where: str) -> Path:
    parts = target.replace("\\", "/").split("/")
    if ".." in parts or target.startswith("/") or "\0" in target or Path(target).drive:
        raise ValidationError(
            f"{where}.file {target!r} leaves the site. Use a relative path without `..`.",
            details={"field": f"{where}.file", "value": target},
        )
    return folder.joinpath(*parts)


def _bad(message: str, field: str) -> ValidationError:
    return ValidationError(message, code="BAD_FIELD", details={"field": field})


def short_result(result: Mapping[str, Any]) -> dict[str, Any]:
    """{deployment_id, url, bytes_uploaded?, bytes_total?} of an apply result; sizes in bytes, only when the plan has
    them.
    """
    urls = result["urls"]
    out: dict[str, Any] = {
        "deployment_id": urls["deployment_id"] if "deployment_id" in urls else result["release_id"],
        "url": urls.get("project") or urls.get("site") or "",
    }
    counters = result["diff"].get("static_assets")
    if isinstance(counters, Mapping) and all(_is_number(counters.get(key)) for key in _COUNTERS):
        out["bytes_uploaded"] = counters["newly_uploaded_cas_bytes"]
        out["bytes_total"] = counters["newly_uploaded_cas_bytes"] + counters["reused_cas_bytes"]
    return out


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
