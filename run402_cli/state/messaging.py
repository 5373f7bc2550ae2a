""".run402/messaging.json of the working directory: who this session is in each room, and how far it has read.

Not secret, and kept out of the configuration directory: a presence is one session in one checkout, not a wallet. What
goes wrong when it is written is given up, a linked .run402 too: the room itself is the truth. A file that cannot be read is
DamagedState. See docs/rooms.md, "The session file".
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from run402_cli import global_options, work_tree
from run402_cli.errors import CommandError
from run402_cli.state.catalogue import MESSAGING
from run402_cli.state.files import locked, read_state

Entry = dict[str, Any]


def messaging_path() -> Path:
    return Path(".run402") / "messaging.json"


# Of a server process, which is one session wherever it was started; None: the file of the directory.
_memory: dict[str, Entry] | None = None


def keep_in_memory() -> None:
    """Begin anew, in this process's memory instead of the file; a point of reading (`cursor`) is not kept there."""
    global _memory
    _memory = {}


def read_room(key: str) -> Entry:
    """What is known of a room, "<org_id>/<room_key>": {presence_id?, name?, requested_name?, cursor?}."""
    if _memory is not None:
        return dict(_memory.get(key, {}))
    entry: Entry = _rooms(read_state(messaging_path(), MESSAGING) or {}).get(key, {})
    return entry


def note_room(key: str, fields: Entry) -> None:
    """Merge fields into what is known of a room."""
    if _memory is not None:
        kept = {name: value for name, value in fields.items() if name != "cursor"}
        _memory[key] = {**_memory.get(key, {}), **kept}
        return
    path = messaging_path()
    known = read_room(key)
    if all(name in known and known[name] == value for name, value in fields.items()):
        return
    global_options.about_to_write(path)
    with contextlib.suppress(OSError, CommandError):
        work_tree.require_own(Path(), path.parent)
        path.parent.mkdir(exist_ok=True)
        with locked(path):
            document = read_state(path, MESSAGING) or {}
            rooms = _rooms(document)
            rooms[key] = {**rooms.get(key, {}), **fields}
            text = json.dumps({**document, "rooms": rooms}, indent=2) + "\n"
            work_tree.write(Path(), path, text.encode("utf-8", "surrogatepass"))


def _rooms(document: Entry) -> Entry:
    return dict(document.get("rooms") or {})
