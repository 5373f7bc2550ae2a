"""File entries: the many ways to write one file in a manifest, reduced to a few.

In a ReleaseSpec a file entry is text, bytes, `{data, contentType}`, a marker `{__source: "fs-file", path,
contentType?}`, or a content ref. See docs/protocol/releases.md, "File entries".
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from run402_cli.release.fields import MANIFEST, kind_of, shown
from run402_cli.release.sources import decode_base64, is_content_ref, is_unicode
from run402_cli.uploads import Gate

FILE: Final = "fs-file"
DIRECTORY: Final = "local-dir"

_DIRECTORY_KEYS: Final = ("__source", "path", "prefix", "ignore", "includeSensitive")


@dataclass(frozen=True, slots=True)
class Base:
    """Where the relative paths of a manifest start, and which files it may name."""

    folder: Path
    gate: Gate


def normalize_file_entry(entry: Any, where: str, base: Base) -> Any:
    """One manifest file entry in its ReleaseSpec form; nothing is read from disk.

    An entry that means nothing is returned as it is: the spec layer refuses it with its own code.
    Raises ReleaseError (LOCAL_ERROR) for a bad encoding, undecodable data or contradicting content types.
    """
    if not isinstance(entry, Mapping):
        return entry
    content_type = _content_type(entry, where)
    if is_content_ref(entry):
        return dict(entry)
    if "data" not in entry:
        is_file = isinstance(entry.get("path"), str) and entry.get("__source", FILE) == FILE
        return _file_marker(entry["path"], content_type, where, base) if is_file else dict(entry)
    data = _data(entry, where)
    if is_content_ref(data):
        return dict(data) if content_type is None else {**data, "contentType": content_type}
    if not isinstance(data, (str, bytes)):
        return dict(entry)
    return data if content_type is None else {"data": data, "contentType": content_type}


def normalize_file_map(value: Any, where: str, base: Base) -> Any:
    """A path-keyed map of file entries, or a directory marker, in ReleaseSpec form."""
    entries = MANIFEST.mapping(value, where)
    if is_directory_marker(entries):
        return _directory_marker(entries, where, base)
    return {path: normalize_file_entry(entry, f"{where}.{path}", base) for path, entry in entries.items()}


def is_directory_marker(value: Any) -> bool:
    """Whether a site map is `{__source: "local-dir", path, ...}` rather than files by path."""
    return isinstance(value, Mapping) and value.get("__source") == DIRECTORY


def absolute(path: str, where: str, base: Base) -> str:
    """`path` made absolute against the manifest's directory; symbolic links stay as they are.

    CommandError of uploads.py for a file that the manifest may not name; it is asked again when the file is opened.
    """
    if "\0" in path or not path or not is_unicode(path):
        raise MANIFEST.error(f"{where}.path {shown(path)} is not a file name.", where)
    # Not resolve(): the path is shown and opened as the user knows it.
    file = os.path.abspath(base.folder / path)  # noqa: PTH100
    base.gate.check(Path(file))
    return file


def _file_marker(path: str, content_type: str | None, where: str, base: Base) -> dict[str, Any]:
    marker = {"__source": FILE, "path": absolute(path, where, base)}
    return marker if content_type is None else {**marker, "contentType": content_type}


def _directory_marker(value: Mapping[str, Any], where: str, base: Base) -> dict[str, Any]:
    marker = dict(MANIFEST.known(value, _DIRECTORY_KEYS, where))
    marker["path"] = absolute(MANIFEST.text(value.get("path"), f"{where}.path"), where, base)
    if "prefix" in marker and not isinstance(marker["prefix"], str):
        raise MANIFEST.error(f"{where}.prefix must be a string, not {kind_of(marker['prefix'])}.", where)
    if "ignore" in marker:
        MANIFEST.strings(marker["ignore"], f"{where}.ignore")
    if "includeSensitive" in marker:
        MANIFEST.one_of(marker["includeSensitive"], (True, False), f"{where}.includeSensitive")
    return marker


def _content_type(entry: Mapping[str, Any], where: str) -> str | None:
    given = [entry[key] for key in ("contentType", "content_type") if key in entry]
    for value in given:
        if not isinstance(value, str):
            raise MANIFEST.error(f"{where}.contentType must be a string, not {kind_of(value)}.", where)
    if len(set(given)) > 1:
        raise MANIFEST.error(
            f"{where} has contentType {given[0]!r} and content_type {given[1]!r}. Keep one of them.", where
        )
    return given[0] if given else None


def _data(entry: Mapping[str, Any], where: str) -> Any:
    encoding = entry.get("encoding", "utf-8")
    MANIFEST.one_of(encoding, ("utf-8", "base64"), f"{where}.encoding")
    data = entry["data"]
    if encoding == "utf-8":
        return data
    if not isinstance(data, str):
        raise MANIFEST.error(f"{where}.data must be a base64 string, not {kind_of(data)}.", where)
    return decode_base64(data)
