"""What sections write themselves with: the content that a spec names, read and hashed, and references to it.

See docs/protocol/releases.md, "On the wire".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from run402_cli.release.canonical import sha256_hex
from run402_cli.release.content_types import OCTET_STREAM, content_type_for, is_binary
from run402_cli.release.entries import FILE
from run402_cli.release.errors import ReleaseError, invalid_spec
from run402_cli.release.fields import SPEC, Spellings, kind_of
from run402_cli.release.paths import check_path
from run402_cli.release.sources import BytesSource, Source, hash_files, is_content_ref, utf8, walk
from run402_cli.uploads import TYPED, Bounds, Gate

SliceKind = Literal["release", "asset", "mixed"]
Place = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContentObject:
    """One distinct piece of content whose bytes are at hand.

    `size` in bytes; `label` is what upload events call it; `content_type` is None where nobody said;
    `slice_kind` is "mixed" when a release file and an asset share the bytes.
    """

    sha256: str
    size: int
    label: str
    content_type: str | None
    source: Source
    slice_kind: SliceKind

    def entry(self) -> dict[str, Any]:
        """The object as a content plan lists it: `{sha256, size, content_type?}`."""
        known = {} if self.content_type is None else {"content_type": self.content_type}
        return {"sha256": self.sha256, "size": self.size, **known}


@dataclass(slots=True)
class Item:
    """One use of content: where it is named, and the ref once it is hashed. `uploaded`: its bytes go apart from the spec."""

    label: str
    slice_kind: SliceKind
    content_type: str | None = None
    path: Path | None = None
    follow: bool = True
    source: Source | None = None
    sha256: str = ""
    size: Any = 0
    integrity: Any = None
    uploaded: bool = True


class Writer:
    """Two passes over one spec: its sections collect every piece of content, then write refs to it.

    `core` is the Core dialect, with its camelCase names. `own` is the manifest's file, which is part of no directory.
    `bounds` are the files that may be read.
    """

    def __init__(self, *, core: bool, own: Path | None = None, bounds: Bounds = TYPED) -> None:
        self.core = core
        self.own = own
        self.bounds = bounds
        # By the place in the spec, so that writing finds what collecting put there.
        self.items: dict[Place, Item] = {}

    def add(
        self,
        place: Place,
        entry: Any,
        label: str,
        slice_kind: SliceKind,
        *,
        path: str | None = None,
        resource: str | None = None,
        content_type: str | None = None,
    ) -> None:
        """Note one file entry; `path` is what a content type is inferred from, None infers nothing."""
        if is_content_ref(entry):
            self.given(place, entry, label, slice_kind)
            return
        typed = isinstance(entry, Mapping)
        content_type = content_type or (entry.get("contentType") if typed else None)
        if content_type is None and path is not None:
            content_type = content_type_for(path)
        if typed and entry.get("__source") == FILE and isinstance(entry.get("path"), str):
            self.items[place] = Item(label, slice_kind, content_type, Path(entry["path"]))
            return
        data = entry.get("data") if typed else entry
        if isinstance(data, str):
            if path is not None and is_binary(path, content_type or OCTET_STREAM):
                raise _text_for_binary(path, content_type or OCTET_STREAM, resource or label)
            data = utf8(data)
        if not isinstance(data, bytes):
            raise invalid_spec(
                f"{'.'.join(place)} is {kind_of(entry)} that names no content. "
                'Write text, {"path": ...}, {"data": ..., "encoding": "base64"} or {"sha256": ..., "size": ...}.',
                resource or label,
            )
        self.inline(place, data, label, slice_kind, content_type)

    def inline(
        self,
        place: Place,
        data: bytes,
        label: str,
        slice_kind: SliceKind,
        content_type: str | None,
        *,
        uploaded: bool = True,
    ) -> None:
        """Note bytes that are at hand."""
        item = Item(label, slice_kind, content_type, source=BytesSource(data), uploaded=uploaded)
        item.sha256, item.size = sha256_hex(data), len(data)
        self.items[place] = item

    def given(self, place: Place, ref: Mapping[str, Any], label: str, slice_kind: SliceKind) -> None:
        """Note a reference, whose bytes are somewhere else."""
        content_type = ref.get("contentType", ref.get("content_type"))
        item = Item(label, slice_kind, content_type, integrity=ref.get("integrity"))
        item.sha256, item.size = ref["sha256"], ref["size"]
        self.items[place] = item

    def directory(self, place: str, marker: Mapping[str, Any], slice_kind: SliceKind) -> None:
        """Note every file of a directory, at (place, its key)."""
        root = Path(marker["path"])
        Gate(self.bounds).check(root)
        found = walk(
            root,
            prefix=marker.get("prefix"),
            ignore=marker.get("ignore") or (),
            include_sensitive=marker.get("includeSensitive") is True,
            own=self.own,
        )
        for file in found:
            check_path(file.key, place, SPEC)
            item = Item(file.key, slice_kind, content_type_for(file.key), file.path, follow=False)
            self.items[place, file.key] = item

    def hash(self) -> None:
        """Read every file once."""
        for follow in (True, False):
            pending = [(item, item.path) for item in self.items.values() if item.path and item.follow is follow]
            hashed_files = hash_files([path for _, path in pending], follow=follow, bounds=self.bounds)
            for (item, _), hashed in zip(pending, hashed_files, strict=True):
                item.source, item.sha256, item.size = hashed.source, hashed.sha256, hashed.source.size

    def objects(self) -> dict[str, ContentObject]:
        """What there is to upload, by digest, in order of first use."""
        objects: dict[str, ContentObject] = {}
        for item in self.items.values():
            if item.source is None or not item.uploaded:
                continue
            first = objects.get(item.sha256)
            if first is None:
                objects[item.sha256] = ContentObject(
                    item.sha256, item.size, item.label, item.content_type, item.source, item.slice_kind
                )
                continue
            kind = first.slice_kind if first.slice_kind == item.slice_kind else "mixed"
            content_type = first.content_type or item.content_type
            objects[item.sha256] = replace(first, slice_kind=kind, content_type=content_type)
        return objects

    def ref(self, *place: str) -> dict[str, Any]:
        """The reference to what was noted at a place."""
        item = self.items[place]
        ref: dict[str, Any] = {"sha256": item.sha256, "size": item.size}
        if item.content_type is not None:
            ref["contentType" if self.core else "content_type"] = item.content_type
        if item.integrity is not None:
            ref["integrity"] = item.integrity
        return ref

    def refs(self, place: str) -> dict[str, Any]:
        """The references to the files of a map or directory that was noted at `place`, by key."""
        return {at[1]: self.ref(*at) for at in self.items if at[0] == place}

    def spelled(self, table: Spellings, name: str) -> str:
        """The name of a field in the dialect."""
        return name if self.core else table[name][-1]

    def renamed(self, value: Mapping[str, Any], table: Spellings) -> dict[str, Any]:
        """The fields of `table` that are there and not null, under their names in the dialect."""
        return {self.spelled(table, key): value[key] for key in table if value.get(key) is not None}


def _text_for_binary(path: str, content_type: str, resource: str) -> ReleaseError:
    return invalid_spec(
        f"{path!r} is {content_type}, which text cannot hold. "
        'Name the file with {"path": ...}, or give {"data": ..., "encoding": "base64"}.',
        resource,
        code="BINARY_CONTENT_REQUIRES_BYTES",
        fix={"action": "use_bytes", "path": path},
        details={"path": path, "content_type": content_type},
    )
