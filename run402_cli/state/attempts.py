"""The payment journal: one file per attempt to pay, written and synced before anything is sent. See docs/payments.md.

payment-attempts/pat_<32 hex>.json, 0600 in a 0700 directory. A record holds no header, body, query string, key or
signature. It does hold the numbers of the authorization (EIP-3009): with the wallet key they give the very same signature
again, so that an attempt whose answer was lost is presented again instead of being paid twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from run402_cli.file_lock import FileLock
from run402_cli.state.allowance import Payer
from run402_cli.state.catalogue import ATTEMPT
from run402_cli.state.files import DamagedState, make_private_dir, now_iso, read_state, time_of

# Money may have moved: nothing new is signed for the same intent until the attempt is resolved.
UNRESOLVED = ("submitting", "response_received", "intent_pending", "ambiguous")
_FOLDER = "payment-attempts"
_NAME = re.compile(r"pat_[0-9a-f]{32}\.json")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_LOCK_WAIT_S = 330.0


class JournalError(Exception):
    """The journal could not be read, written or locked; nothing was sent."""


@dataclass(slots=True)
class Attempt:
    """One record. `fields` is its JSON; unknown keys are kept."""

    path: Path
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return str(self.fields["payment_attempt_id"])

    @property
    def state(self) -> str:
        return str(self.fields.get("state"))

    @property
    def mutation_state(self) -> str:
        return str(self.fields.get("mutation_state"))

    @property
    def unresolved(self) -> bool:
        """Sent, and the chain has not told what became of it. Records of older versions have the seller's word as `failed`."""
        denied = "provider_started_at" in self.fields and self.fields.get("resolved_by") != "chain"
        return self.state in UNRESOLVED or (self.state == "failed" and denied)

    @property
    def may_have_moved(self) -> bool:
        """Counts as spent: every authorization that was sent, unless the chain said after its end that it was not used."""
        return self.unresolved or self.state == "completed"

    @property
    def amount(self) -> int:
        """USD micros; 0 in a record of the Node CLI, which does not keep it."""
        return int(self.fields.get("amount_usd_micros", 0))

    def update(self, state: str, mutation_state: str, **more: Any) -> None:
        """Replace the record on disk: temporary file, fsync, rename, fsync of the directory. JournalError on failure."""
        changed = {key: value for key, value in more.items() if value is not None}
        fields = {**self.fields, **changed, "state": state, "mutation_state": mutation_state, "updated_at": now_iso()}
        _write(self.path, fields)
        self.fields = fields

    def note(self, state: str, mutation_state: str, **more: Any) -> None:
        """Like `update`, after the payment was sent: a failure must not hide the seller's answer."""
        with contextlib.suppress(JournalError):
            self.update(state, mutation_state, **more)


class Journal:
    """The attempts of one address. New ones are written under the name that it has now, those of all its names count.

    A record without `payer` (unsigned, damaged, or of the Node CLI) is of the wallet in whose directory it is.
    """

    def __init__(self, payer: Payer) -> None:
        self.payer = payer
        self.folder = payer.folder / _FOLDER

    def create(self, **fields: Any) -> Attempt:
        """A new record in state `intent`, written like an update: who reads meanwhile sees all of it or none."""
        attempt_id = "pat_" + uuid.uuid4().hex
        stamp = now_iso()
        record = {
            "version": 1,
            "payment_attempt_id": attempt_id,
            "rail": "x402",
            "state": "intent",
            "mutation_state": "not_started",
            **{key: value for key, value in fields.items() if value is not None},
            "created_at": stamp,
            "updated_at": stamp,
        }
        path = self.folder / f"{attempt_id}.json"
        try:
            self._open()
        except OSError as exc:
            raise JournalError(f"{path} cannot be written: {exc.strerror or exc}") from exc
        _write(path, record)
        return Attempt(path, record)

    def _open(self) -> None:
        existed = self.folder.is_dir()
        make_private_dir(self.folder)
        if os.name == "posix":
            self.folder.chmod(0o700)
        if not existed:
            _sync_dir(self.folder.parent)

    def attempts(self) -> tuple[list[Attempt], list[Path]]:
        """(records from old to new, files that are no records). JournalError: a directory of them cannot be read."""
        try:
            folders: list[Path] = []
            while (now := self.payer.folders()) != folders:  # again, when a wallet was renamed meanwhile
                folders, (found, damaged) = now, self._in(now)
        except OSError as exc:
            raise JournalError(f"{exc.filename} cannot be read: {exc.strerror or exc}") from exc
        except DamagedState as exc:
            raise JournalError(f"{exc.path} cannot be read: {exc.reason}") from exc
        return sorted(found, key=lambda attempt: str(attempt.fields["created_at"])), sorted(damaged)

    def _in(self, folders: list[Path]) -> tuple[list[Attempt], list[Path]]:
        """Of a record that is there twice, because it was copied or is being moved, the newest state."""
        newest: dict[str, Attempt] = {}
        damaged = []
        for folder in folders:
            for path in _records_in(folder):
                record = _record(path)
                if record == {} or not self._is_ours(folder, record):
                    continue
                if record is None:
                    damaged.append(path)
                elif path.name not in newest or _changed(record) > _changed(newest[path.name].fields):
                    newest[path.name] = Attempt(path, record)
        return list(newest.values()), damaged

    def _is_ours(self, folder: Path, record: dict[str, Any] | None) -> bool:
        payer = (record or {}).get("payer")
        if isinstance(payer, str) and self.payer.address is not None:
            return self.payer.pays(payer)
        return self.payer.keeps(folder)

    def for_intent(self, intent: str) -> list[Attempt]:
        """Records of the same intent, from new to old."""
        return [a for a in reversed(self.attempts()[0]) if a.fields.get("intent_sha256") == intent]

    def sent_last_day(self) -> list[Attempt]:
        """Those of the last 24 hours that moved or may have moved money. JournalError when a record cannot be read."""
        attempts, damaged = self.attempts()
        if damaged:
            raise JournalError(f"{damaged[0]} is damaged, so the spending of the last day is unknown")
        since = datetime.now(UTC) - timedelta(days=1)
        return [attempt for attempt in attempts if attempt.may_have_moved and _time(attempt) >= since]

    def spent_last_day(self) -> int:
        """USD micros of `sent_last_day`."""
        return sum(attempt.amount for attempt in self.sent_last_day())

    def accounting(self) -> contextlib.AbstractContextManager[None]:
        """Only one process at a time counts what was spent and adds to it, also when it is suspended in between."""
        return self._held(".accounting.lock", "another run402 process is still counting what this wallet has spent")

    def exclusive(self, intent: str) -> contextlib.AbstractContextManager[None]:
        """Hold the intent: a second process with the same one waits here."""
        return self._held(f".{intent[:32]}.lock", "another run402 process is still paying for the same request")

    @contextlib.contextmanager
    def _held(self, name: str, taken: str) -> Iterator[None]:
        """Hold a lock that the system releases when the process dies.

        JournalError when it stays taken for minutes, or cannot be created.
        """
        path = self.payer.shared / name
        lock = FileLock(path)
        try:
            self._open()
            make_private_dir(path.parent)
            if not lock.acquire(_LOCK_WAIT_S):
                raise TimeoutError(0, taken)
        except OSError as exc:
            raise JournalError(f"{path} cannot be locked: {exc.strerror or exc}") from exc
        try:
            yield
        finally:
            lock.release(remove=True)


def intent_sha256(*parts: str | bytes) -> str:
    """What makes two requests the same purchase: wallet, method, URL, idempotency key, body."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def keep_records(payer: Payer) -> None:
    """Before the directory of a name is removed: its records go to the address that paid. After an OSError, run it again."""
    for path in _records_in(payer.folder):
        record = _record(path)
        named = str((record or {}).get("payer"))
        of = payer._replace(address=named) if _ADDRESS.fullmatch(named) else payer
        kept = of.shared / _FOLDER / path.name
        if of.address is None or record == {}:
            continue
        there = _record(kept)
        if there and (record is None or _changed(there) > _changed(record)):
            continue
        make_private_dir(kept.parent)
        path.replace(kept)
        _sync_dir(kept.parent)


def _records_in(folder: Path) -> list[Path]:
    try:
        return [path for path in (folder / _FOLDER).iterdir() if _NAME.fullmatch(path.name)]
    except FileNotFoundError:
        return []


def _record(path: Path) -> dict[str, Any] | None:
    """The record of that name; {} when there is none, None for a file that is no record."""
    try:
        value = read_state(path, ATTEMPT)
    except DamagedState:
        return None
    if value is None:
        return {}
    return value if value["payment_attempt_id"] == path.name.removesuffix(".json") else None


def _changed(record: dict[str, Any]) -> str:
    return str(record.get("updated_at") or record["created_at"])


def _time(attempt: Attempt) -> datetime:
    try:
        return time_of(str(attempt.fields.get("provider_started_at") or attempt.fields["created_at"]))
    except ValueError:
        return datetime.now(UTC)  # an unreadable date counts as today: the limit errs on the safe side


def _write(path: Path, fields: dict[str, Any]) -> None:
    """Put a record there in one step, for good. JournalError."""
    scratch = path.with_name(f"{path.name}.{os.getpid()}.{uuid.uuid4()}.tmp")
    try:
        try:
            fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write((json.dumps(fields, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass"))
                file.flush()
                os.fsync(file.fileno())
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)
        _sync_dir(path.parent)
    except OSError as exc:
        raise JournalError(f"{path} cannot be written: {exc.strerror or exc}") from exc


def _sync_dir(folder: Path) -> None:
    if os.name != "posix":
        return  # Windows cannot open a directory; a rename there is durable once it returned
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
