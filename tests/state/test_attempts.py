"""The records of payments: what another process sees of one that is being written, and whose they are."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO, Any

import pytest
from config_kit import ADDRESS, PRIVATE_KEY, write

from run402_cli.errors import EnvironmentFault
from run402_cli.state import wallets
from run402_cli.state.allowance import Payer
from run402_cli.state.attempts import Journal, JournalError
from run402_cli.state.files import now_iso

OTHER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


def name_of(config: Path, name: str, address: str = ADDRESS) -> Path:
    """The directory of a wallet that is made by this."""
    folder = config if name == "default" else config / "profiles" / name
    write(folder / "allowance.json", {"address": address, "privateKey": PRIVATE_KEY})
    return folder


def spent(config: Path, folder: Path, address: str | None = ADDRESS) -> int:
    return Journal(Payer(config, folder, address)).spent_last_day()


def record(folder: Path, number: int, amount: int, payer: str | None = ADDRESS, **more: Any) -> Path:
    """A record as older versions wrote it, in the directory of a name."""
    attempt = f"pat_{number:032x}"
    fields = {
        "version": 1,
        "payment_attempt_id": attempt,
        "state": "submitting",
        "mutation_state": "in_progress",
        "amount_usd_micros": amount,
        "created_at": now_iso(),
        "updated_at": now_iso(),
        "provider_started_at": now_iso(),
        **({} if payer is None else {"payer": payer}),
        **more,
    }
    path = folder / "payment-attempts" / f"{attempt}.json"
    write(path, fields)
    return path


def test_a_record_that_is_being_written_is_no_damaged_one_for_somebody_who_counts(
    config_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else of two processes that pay at the same time one would refuse, as the spending seems unknown."""
    journal = Journal(Payer(config_dir, config_dir))
    opened, counted = os.fdopen, []

    def counting(descriptor: int, mode: str) -> IO[Any]:
        counted.append(journal.attempts()[1])  # the file is there, and empty
        return opened(descriptor, mode)

    journal.create(purpose="first")
    monkeypatch.setattr(os, "fdopen", counting)
    journal.create(purpose="second").update("submitting", "in_progress", amount_usd_micros=1)
    assert counted == [[], []]
    assert [attempt.amount for attempt in journal.sent_last_day()] == [1]


@pytest.mark.parametrize("spelling", [ADDRESS, ADDRESS.lower(), "0x" + ADDRESS[2:].upper()])
def test_records_under_every_name_of_a_key_count_together_and_those_of_other_keys_do_not(
    config_dir: Path, spelling: str
) -> None:
    first, second = name_of(config_dir, "default"), name_of(config_dir, "shop", spelling)
    other = name_of(config_dir, "other", OTHER)
    record(first, 1, 1)
    record(second, 2, 20)
    record(second, 3, 300, payer=None)  # as the Node CLI writes them
    record(other, 4, 4_000, payer=OTHER)
    record(other, 5, 50_000, payer=None)
    record(other, 6, 600_000)  # paid with this key, from a file of its own (RUN402_ALLOWANCE_PATH)
    record(first, 7, 7_000_000, payer=OTHER)  # of a key that had this name before
    assert spent(config_dir, first) == spent(config_dir, second) == spent(config_dir, config_dir / "no") == 600_321
    assert spent(config_dir, other, OTHER) == 7_054_000


def test_a_directory_without_a_key_has_its_own_records_only(config_dir: Path) -> None:
    record(config_dir, 1, 1)
    record(name_of(config_dir, "shop"), 2, 20)
    assert spent(config_dir, config_dir, None) == 1


def test_a_damaged_record_under_any_name_of_the_key_makes_the_spending_unknown(config_dir: Path) -> None:
    first, second, other = (
        name_of(config_dir, "default"), name_of(config_dir, "shop"), name_of(config_dir, "other", OTHER)
    )  # fmt: skip
    damaged = record(second, 1, 1)
    damaged.write_text("{")
    assert spent(config_dir, other, OTHER) == 0
    for folder in (first, second):
        with pytest.raises(JournalError, match=damaged.name):
            spent(config_dir, folder)
    damaged.unlink()
    record(other, 2, 1).write_text("{")
    assert spent(config_dir, first) == 0
    (other / "allowance.json").write_text("{")  # nobody knows whose it is
    with pytest.raises(JournalError, match="other"):
        spent(config_dir, first)


def test_a_record_in_two_places_counts_once_in_its_newest_state(config_dir: Path) -> None:
    """Somebody made the second name by copying the directory of the first."""
    first, second = name_of(config_dir, "default"), name_of(config_dir, "shop")
    record(first, 1, 50, updated_at="2026-01-01T00:00:00.000Z")
    record(second, 1, 50, updated_at="2026-01-02T00:00:00.000Z", state="completed")
    record(first, 2, 7, updated_at="2026-01-02T00:00:00.000Z", state="failed", resolved_by="chain")
    record(second, 2, 7, updated_at="2026-01-01T00:00:00.000Z")
    attempts, damaged = Journal(Payer(config_dir, first, ADDRESS)).attempts()
    assert {(attempt.amount, attempt.state) for attempt in attempts} == {(50, "completed"), (7, "failed")}
    assert damaged == []
    assert spent(config_dir, first) == spent(config_dir, second) == 50


def test_records_of_a_name_that_is_renamed_while_they_are_counted_are_counted(
    config_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = name_of(config_dir, "default"), name_of(config_dir, "shop")
    record(second, 1, 20)
    iterdir, renamed = Path.iterdir, config_dir / "profiles" / "another"

    def renaming(self: Path) -> Any:
        if self == second / "payment-attempts" and not renamed.exists():
            second.rename(renamed)
        return iterdir(self)

    monkeypatch.setattr(Path, "iterdir", renaming)
    assert spent(config_dir, first) == 20
    assert renamed.is_dir()


@pytest.mark.parametrize("closed", ["profiles", "profiles/shop/payment-attempts"])
def test_what_cannot_be_listed_is_not_taken_for_empty(
    config_dir: Path, monkeypatch: pytest.MonkeyPatch, closed: str
) -> None:
    first, second, iterdir = name_of(config_dir, "default"), name_of(config_dir, "shop"), Path.iterdir
    record(second, 1, 1)

    def refused(self: Path) -> Any:
        if self == config_dir / closed:
            raise PermissionError(13, "Permission denied", str(self))
        return iterdir(self)

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(JournalError, match="Permission denied"):
        spent(config_dir, first)


def test_a_name_that_is_removed_leaves_what_was_paid_also_when_it_is_cut_off(
    config_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = name_of(config_dir, "default"), name_of(config_dir, "shop")
    other = name_of(config_dir, "other", OTHER)
    paid = [record(second, 1, 1), record(second, 2, 20), record(second, 3, 300, payer=None)]
    record(second, 4, 4_000, payer=OTHER)
    damaged = record(second, 5, 0)
    damaged.write_text("{")
    replace = Path.replace

    def broken(self: Path, target: Path) -> Path:
        if self == paid[1]:
            raise OSError(28, "No space left on device", str(self))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(EnvironmentFault):
        wallets.remove("shop")
    monkeypatch.setattr(Path, "replace", replace)
    wallets.remove("shop")
    assert not second.exists()
    assert spent(config_dir, other, OTHER) == 4_000
    with pytest.raises(JournalError, match=damaged.name):
        spent(config_dir, first)
    (kept,) = config_dir.glob(f"payments/*/payment-attempts/{damaged.name}")
    kept.unlink()
    assert spent(config_dir, first) == 321
    assert spent(config_dir, name_of(config_dir, "again")) == 321


def test_a_newer_state_is_not_replaced_by_that_of_a_removed_copy(config_dir: Path) -> None:
    name_of(config_dir, "copy")
    name_of(config_dir, "shop")
    for name, state, hour in (("shop", "completed", 2), ("copy", "ambiguous", 1)):
        record(config_dir / "profiles" / name, 1, 50, state=state, updated_at=f"2026-01-01T0{hour}:00:00.000Z")
        wallets.remove(name)
    (kept,) = config_dir.glob("payments/*/payment-attempts/pat_*.json")
    assert json.loads(kept.read_text())["state"] == "completed"
