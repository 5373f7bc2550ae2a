"""What a dry run shows of addresses that are sent: no user, no password, no key among the parameters."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_httpx import HTTPXMock
from run_kit import Run

ADDRESS = "https://u:PW1@h.example/hook?sig=S1GN&x=1&access_token=T0KEN"


@pytest.mark.parametrize(
    "words",
    [
        ("notifications", "preferences", "set", f"webhook_url={ADDRESS}"),
        ("agent", "contact", "--name", "a", "--email", "a@h.example", "--webhook", ADDRESS),
        ("projects", "rest", "t", "--method", "POST", "--body", f'{{"note": "see {ADDRESS} there"}}'),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_an_address_that_is_sent_is_shown_without_secrets(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, words: tuple[str, ...]
) -> None:
    outcome = run(*words, "--dry-run")
    assert outcome.json["dry_run"] is True
    for secret in ("PW1", "S1GN", "T0KEN"):
        assert secret not in outcome.out + outcome.err
    assert "h.example/hook?sig=<secret>&x=1&access_token=<secret>" in outcome.out
