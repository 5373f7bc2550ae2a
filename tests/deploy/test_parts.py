"""Parts of one object: order of hashing, the digest of the whole, and what a failure stops."""

from __future__ import annotations

import base64
import hashlib
import threading
from dataclasses import dataclass

import pytest

from run402_cli.deploy._bytes import Content
from run402_cli.deploy._parts import send_parts
from run402_cli.release.content import ContentObject
from run402_cli.release.errors import ContentChangedError
from run402_cli.release.sources import BytesSource

DATA = bytes(range(256)) * 40


@dataclass(frozen=True)
class Piece:
    start: int
    length: int


PIECES = [Piece(start, min(1000, len(DATA) - start)) for start in range(0, len(DATA), 1000)]


def content(sha256: str | None = None) -> Content:
    digest = sha256 or hashlib.sha256(DATA).hexdigest()
    return Content(ContentObject(digest, len(DATA), "x", None, BytesSource(DATA), "asset"), threading.Event())


def test_each_part_is_sent_once_with_its_own_checksum() -> None:
    sent: dict[int, str] = {}
    send_parts(content(), PIECES, lambda _content, piece, checksum: sent.update({piece.start: checksum}))
    assert sent == {
        piece.start: base64.b64encode(hashlib.sha256(DATA[piece.start : piece.start + piece.length]).digest()).decode()
        for piece in PIECES
    }


def test_the_last_part_of_a_changed_object_never_leaves() -> None:
    sent: list[int] = []
    with pytest.raises(ContentChangedError):
        send_parts(content("0" * 64), PIECES, lambda _content, piece, _sum: sent.append(piece.start))
    assert PIECES[-1].start not in sent


def test_some_parts_of_an_object_say_nothing_about_the_whole() -> None:
    sent: list[int] = []
    send_parts(content("0" * 64), PIECES[2:4], lambda _content, piece, _sum: sent.append(piece.start))
    assert sorted(sent) == [2000, 3000]


def test_after_a_failure_no_part_starts_and_the_failure_is_raised() -> None:
    started: list[int] = []

    def send(_content: Content, piece: Piece, _checksum: str) -> None:
        started.append(piece.start)
        raise RuntimeError("refused")

    with pytest.raises(RuntimeError, match="refused"):
        send_parts(content(), PIECES, send)
    assert started == [0]


def test_a_failure_gives_up_the_parts_on_their_way() -> None:
    failed = threading.Event()
    given_up: list[int] = []

    def send(mine: Content, piece: Piece, _checksum: str) -> None:
        if piece.start == 0:
            return
        if piece.start == 1000:
            failed.wait(5)
            raise RuntimeError("refused")
        try:
            while True:
                failed.set()
                for _ in mine.pieces(piece.start, piece.length):
                    pass
        except BaseException:
            given_up.append(piece.start)
            raise

    with pytest.raises(RuntimeError, match="refused"):
        send_parts(content(), PIECES[:4], send, checksums=False)
    assert given_up
