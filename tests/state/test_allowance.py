"""The wallet file: shape, legacy name, open modes, and that the key stays out of sight."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run402_cli.errors import CommandError
from run402_cli.state.allowance import (
    load_allowance,
    new_allowance_fields,
    parse_private_key,
    read_allowance,
    save_allowance,
)

ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
KEY = "0x" + "ab" * 32


def test_only_a_missing_file_is_no_wallet(config_dir: Path) -> None:
    assert load_allowance(config_dir) is None
    (config_dir / "allowance.json").write_text("oops")
    with pytest.raises(CommandError) as caught:
        load_allowance(config_dir)
    assert caught.value.code == "BAD_ENV"
    assert str(config_dir / "allowance.json") in caught.value.message


def test_a_saved_wallet_comes_back_and_unknown_keys_are_kept(config_dir: Path) -> None:
    fields = {**new_allowance_fields(address=ADDRESS, private_key=KEY, rail="mpp"), "later": 1}
    path = save_allowance(config_dir, fields)
    found = load_allowance(config_dir)
    assert found is not None
    assert (found.address, found.private_key, found.rail, found.path) == (ADDRESS, KEY, "mpp", path)
    assert found.fields["later"] == 1
    assert found.fields["funded"] is False


def test_the_key_is_not_in_the_text_form(config_dir: Path) -> None:
    save_allowance(config_dir, new_allowance_fields(address=ADDRESS, private_key=KEY, rail="x402"))
    assert KEY not in repr(load_allowance(config_dir))


@pytest.mark.parametrize(
    "value",
    [
        [],
        None,
        7,
        {},
        {"address": ADDRESS},
        {"address": ADDRESS, "privateKey": KEY[:-1]},
        {"address": ADDRESS, "privateKey": KEY[2:]},
        {"address": "0x12", "privateKey": KEY},
        {"address": ADDRESS, "privateKey": 7},
        {"address": ADDRESS + "\n", "privateKey": KEY},
    ],
)
def test_json_of_another_shape_is_an_error_that_leaves_the_file(config_dir: Path, value: object) -> None:
    path = config_dir / "allowance.json"
    path.write_text(json.dumps(value))
    with pytest.raises(CommandError) as caught:
        load_allowance(config_dir)
    assert caught.value.code == "BAD_ALLOWANCE_FILE"
    assert caught.value.details == {"path": str(path), "reason": "wrong_type"}
    assert KEY[:-1] not in json.dumps(caught.value.envelope())
    assert json.loads(path.read_text()) == value


def test_a_legacy_wallet_json_is_renamed(config_dir: Path) -> None:
    legacy = config_dir / "wallet.json"
    legacy.write_text(json.dumps({"address": ADDRESS, "privateKey": KEY}))
    legacy.chmod(0o644)
    assert load_allowance(config_dir) is not None
    assert not legacy.exists()
    if os.name == "posix":
        assert (config_dir / "allowance.json").stat().st_mode & 0o777 == 0o600


def test_an_explicit_path_wins_and_migrates_nothing(
    config_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (config_dir / "wallet.json").write_text("{}")
    elsewhere = tmp_path / "a.json"
    elsewhere.write_text(json.dumps({"address": ADDRESS, "privateKey": KEY}))
    monkeypatch.setenv("RUN402_ALLOWANCE_PATH", str(elsewhere))
    found = load_allowance(config_dir)
    assert found is not None
    assert found.path == elsewhere
    assert (config_dir / "wallet.json").exists()
    assert read_allowance(config_dir / "allowance.json") is None


@pytest.mark.parametrize("text", ["", "0x", "0x" + "g" * 64, "ab" * 32, "0x" + "ab" * 33, KEY + " " + KEY])
def test_what_is_no_key(text: str) -> None:
    assert parse_private_key(text) is None


@given(st.binary(min_size=32, max_size=32), st.sampled_from(["", " ", "\n", "\t\r\n"]))
def test_any_32_bytes_in_hex_are_a_key_with_space_around_it(raw: bytes, space: str) -> None:
    key = "0x" + raw.hex()
    assert parse_private_key(space + key + space) == key
