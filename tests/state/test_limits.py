"""What a key may spend is one thing, however many names it has, and what names had of their own is not lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_kit import ADDRESS, PRIVATE_KEY, write

from run402_cli.state import wallets
from run402_cli.state.allowance import Payer
from run402_cli.state.files import DamagedState
from run402_cli.state.limits import Limits, clear_limits, limits_path, load_limits, save_limits

OTHER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


@pytest.fixture
def names(config_dir: Path) -> tuple[Payer, Payer, Payer]:
    """Two names of one key, and one of another."""
    wallets_ = {"default": ADDRESS, "shop": "0x" + ADDRESS[2:].upper(), "other": OTHER}
    found = []
    for name, address in wallets_.items():
        folder = config_dir if name == "default" else config_dir / "profiles" / name
        write(folder / "allowance.json", {"address": address, "privateKey": PRIVATE_KEY})
        found.append(Payer(config_dir, folder, address))
    return found[0], found[1], found[2]


def old(payer: Payer, per_payment: int | None, per_day: int | None) -> Path:
    """The file of a name, as older versions wrote it."""
    path = payer.folder / "payment-limits.json"
    write(path, {"version": 1, "per_payment_usd_micros": per_payment, "per_day_usd_micros": per_day})
    return path


def test_the_strictest_of_the_limits_that_names_had_hold_until_the_address_has_some(
    names: tuple[Payer, Payer, Payer],
) -> None:
    first, second, other = names
    old(first, 500, None)
    kept = old(second, 700, 900)
    old(other, 1, 1)
    assert load_limits(first) == load_limits(second) == Limits(500, 900)
    assert load_limits(other) == Limits(1, 1)
    save_limits(second, Limits(600, 5_000))
    assert load_limits(first) == load_limits(second) == Limits(600, 5_000)
    assert load_limits(other) == Limits(1, 1)
    assert kept.exists()  # for an older version, which looks there
    assert clear_limits(first) is True
    assert load_limits(second) == Limits()
    assert clear_limits(second) is False


def test_a_key_that_is_in_no_directory_of_a_name_is_limited_like_the_name_and_then_by_itself(config_dir: Path) -> None:
    """RUN402_ALLOWANCE_PATH: two files of one key, used under two names."""
    first, second = (Payer(config_dir, config_dir / "profiles" / name, ADDRESS) for name in ("one", "two"))
    old(first, 500, 900)
    assert (load_limits(first), load_limits(second)) == (Limits(500, 900), Limits())
    save_limits(second, Limits(300, 400))
    assert load_limits(first) == Limits(300, 400)


def test_a_damaged_file_under_either_name_means_that_the_limits_are_unknown(
    names: tuple[Payer, Payer, Payer],
) -> None:
    first, second, other = names
    path = old(second, 700, 900)
    path.write_text("{")
    for call in (load_limits, clear_limits):
        with pytest.raises(DamagedState) as caught:
            call(first)
        assert caught.value.path == path
    assert load_limits(other) == Limits()
    path.unlink()
    (other.folder / "allowance.json").write_text("{")
    old(other, 1, 2)
    assert load_limits(first) == Limits(1, 2)  # whose they are is not known
    limits_path(first).parent.mkdir(parents=True)
    limits_path(first).write_text("{")
    with pytest.raises(DamagedState):
        load_limits(second)


@pytest.mark.parametrize("damaged", [False, True])
def test_a_name_that_is_removed_leaves_its_limits_to_the_key(names: tuple[Payer, Payer, Payer], damaged: bool) -> None:
    first, second, _ = names
    path = old(second, 500, None)
    old(first, 700, 900)
    if damaged:
        path.write_text("{")
    wallets.remove("shop")
    assert not second.folder.exists()
    if damaged:
        with pytest.raises(DamagedState):
            load_limits(first)
    else:
        assert load_limits(first) == Limits(500, 900)
