"""The records of payments: what another process sees of one that is being written, and whose they are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any

import pytest

from run402_cli.state.attempts import Journal


def test_a_record_that_is_being_written_is_no_damaged_one_for_somebody_who_counts(
    config_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else of two processes that pay at the same time one would refuse, as the spending seems unknown."""
    opened, counted = os.fdopen, []

    def counting(descriptor: int, mode: str) -> IO[Any]:
        counted.append(Journal(config_dir).attempts()[1])  # the file is there, and empty
        return opened(descriptor, mode)

    Journal(config_dir).create(purpose="first")
    monkeypatch.setattr(os, "fdopen", counting)
    Journal(config_dir).create(purpose="second").update("submitting", "in_progress", amount_usd_micros=1)
    assert counted == [[], []]
    assert [attempt.amount for attempt in Journal(config_dir).sent_last_day()] == [1]
