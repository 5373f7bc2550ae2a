"""Format and size of a picture from its first bytes. Nothing is decoded."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Final

# Camera files put previews and colour profiles before the size.
_HEAD_BYTES: Final = 2 * 1024 * 1024
_BRANDS: Final = {b"avif": "avif", b"avis": "avif", b"heic": "heic", b"heix": "heic", b"mif1": "heic", b"hevc": "heic"}
_JPEG_SIZE_MARKERS: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_TURNED: Final = (5, 6, 7, 8)


def describe(path: Path, content_type: str) -> dict[str, Any] | None:
    """`{image_format, width_px?, height_px?}` (as displayed) of a file with an image type; None for everything else."""
    if not content_type.startswith("image/"):
        return None
    if content_type.startswith("image/svg"):
        return {"image_format": "svg"}
    try:
        with path.open("rb") as handle:
            return _described(handle.read(_HEAD_BYTES))
    except (OSError, struct.error):
        return None


def _described(head: bytes) -> dict[str, Any] | None:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _sized("png", *struct.unpack(">II", head[16:24]))
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return _sized("gif", *struct.unpack("<HH", head[6:10]))
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return _sized("webp", *_webp(head))
    if head.startswith(b"\xff\xd8"):
        return _jpeg(head)
    if head.startswith(b"BM"):
        width, height = struct.unpack("<ii", head[18:26])
        return _sized("bmp", width, abs(height))
    if head[:4] in (b"II*\0", b"MM\0*"):
        return {"image_format": "tiff"}
    if head[4:8] == b"ftyp" and head[8:12] in _BRANDS:
        return {"image_format": _BRANDS[head[8:12]]}
    return None


def _sized(name: str, width: int, height: int) -> dict[str, Any]:
    known = {"width_px": width, "height_px": height} if width > 0 and height > 0 else {}
    return {"image_format": name, **known}


def _webp(head: bytes) -> tuple[int, int]:
    kind = head[12:16]
    if kind == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack("<HH", head[26:30])
    return width & 0x3FFF, height & 0x3FFF


def _jpeg(head: bytes) -> dict[str, Any]:
    at, orientation = 2, 1
    while at + 4 <= len(head) and head[at] == 0xFF:
        marker, length = head[at + 1], int.from_bytes(head[at + 2 : at + 4], "big")
        body = head[at + 4 : at + 2 + length]
        if marker == 0xE1 and body.startswith(b"Exif\0\0"):
            orientation = _orientation(body[6:])
        if marker in _JPEG_SIZE_MARKERS and len(body) >= 5:
            height, width = struct.unpack(">HH", body[1:5])
            return _sized("jpeg", height, width) if orientation in _TURNED else _sized("jpeg", width, height)
        at += 2 + max(length, 2)
    return {"image_format": "jpeg"}


def _orientation(tiff: bytes) -> int:
    order = "<" if tiff[:2] == b"II" else ">"
    try:
        (start,) = struct.unpack(order + "I", tiff[4:8])
        (count,) = struct.unpack(order + "H", tiff[start : start + 2])
        for index in range(min(count, 200)):
            entry = tiff[start + 2 + 12 * index :][:12]
            tag, _kind, _count, value = struct.unpack(order + "HHIH", entry[:10])
            if tag == 0x0112:
                return int(value)
    except struct.error:
        return 1
    return 1
