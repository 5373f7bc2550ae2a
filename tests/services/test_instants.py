"""Times and durations as people type them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run402_cli.services import instants


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0", 0),
        ("1773532800000", 1773532800000),
        ("1970-01-01T00:00:01Z", 1000),
        ("1970-01-01T01:00:01.5+01:00", 1500),
        ("1970-01-01T00:00:00.123456789Z", 123),
        ("1969-12-31T23:59:59Z", -1000),
    ],
)
def test_instants_are_read(text: str, milliseconds: int) -> None:
    assert instants.epoch_ms(text) == milliseconds


@pytest.mark.parametrize(
    "text",
    [
        *("", "-1", "1.5", "2026-03-15", "2026-03-15T00:00:00", "2026-03-15 00:00:00Z", "2026-13-01T00:00:00Z"),
        *("2026-02-30T00:00:00Z", "2026-03-15T24:00:00Z", "2026-03-15T00:00:00z", "١٢٣", "9" * 30, " 1", "1\n"),
    ],
)
def test_other_texts_are_no_instants(text: str) -> None:
    assert instants.epoch_ms(text) is None


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1)))
def test_iso_and_epoch_agree(moment: datetime) -> None:
    text = moment.replace(tzinfo=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    milliseconds = instants.epoch_ms(text)
    assert milliseconds is not None
    assert instants.iso(milliseconds) == text
    assert instants.any_date_ms(text) == milliseconds


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2026-03-15", "2026-03-15T00:00:00.000Z"),
        ("2026-03-15T12:00+02:00", "2026-03-15T10:00:00.000Z"),
        ("Sun, 15 Mar 2026 12:00:00 GMT", "2026-03-15T12:00:00.000Z"),
        ("15 Mar 2026 12:00:00 +0100", "2026-03-15T11:00:00.000Z"),
    ],
)
def test_dates_in_other_forms_are_read(text: str, iso: str) -> None:
    milliseconds = instants.any_date_ms(text)
    assert milliseconds is not None
    assert instants.iso(milliseconds) == iso


@given(st.text())
def test_no_text_breaks_a_reader(text: str) -> None:
    for value in (instants.epoch_ms(text), instants.any_date_ms(text), instants.duration_seconds(text)):
        assert value is None or isinstance(value, int)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *[("1ms", 1), ("1500 ms", 2), ("2000 milliseconds", 2), ("90s", 90), ("1.5 SEC", 2), ("5m", 300)],
        *[("2 mins", 120), ("1h", 3600), ("0.5 hours", 1800), ("1 day", 86400), ("0s", 0)],
    ],
)
def test_durations_are_read(text: str, seconds: int) -> None:
    assert instants.duration_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "5 weeks", "1e3s", "5m5s", "9" * 400 + "d", "99999999999d"])
def test_other_texts_are_no_durations(text: str) -> None:
    assert instants.duration_seconds(text) is None
