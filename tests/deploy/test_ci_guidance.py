"""What a refused deploy from CI says to do."""

from __future__ import annotations

from typing import Any

import pytest

from run402_cli.deploy.ci import guided
from run402_cli.errors import ApiError, DeployError, Run402Error


def envelope(error: Run402Error) -> dict[str, Any]:
    with pytest.raises(type(error)) as caught, guided("prj_1"):
        raise error
    return caught.value.envelope()


def test_the_oauth_word_goes_before_the_code_which_stays() -> None:
    body = {"error": "access_denied", "code": "FORBIDDEN", "next_actions": []}
    shown = envelope(ApiError(403, body, context="exchanging"))
    assert (shown["code"], shown["error"]) == ("FORBIDDEN", "access_denied")
    assert "no active binding" in shown["hint"]
    assert shown["next_actions"][0]["command"] == "run402 ci list --project prj_1"


def test_what_the_gateway_says_itself_is_kept() -> None:
    body = {"error": "invalid_token", "hint": "own hint", "next_actions": [{"type": "own"}]}
    shown = envelope(ApiError(401, body, context="exchanging"))
    assert (shown["hint"], shown["next_actions"]) == ("own hint", [{"type": "own"}])
    error = DeployError("no", code="CI_ROUTE_SCOPE_DENIED", hint="own hint", next_actions=[{"type": "own"}])
    assert envelope(error)["hint"] == "own hint"


@pytest.mark.parametrize("code", ["forbidden_spec_field", "CI_ROUTE_SCOPE_DENIED", "forbidden_plan"])
def test_a_deploy_error_is_guided_by_its_code(code: str) -> None:
    shown = envelope(DeployError("no", code=code, phase="plan"))
    assert shown["hint"]
    assert shown["next_actions"]


def test_every_402_names_the_tier() -> None:
    expected = "run402 tier status"
    for error in (
        ApiError(402, {"code": "PAYMENT_REQUIRED"}, context="planning"),
        ApiError(402, "pay", context="planning"),
        DeployError("pay", code="PAYMENT_REQUIRED", http=402),
    ):
        assert envelope(error)["next_actions"][0]["command"] == expected


def test_other_errors_stay_as_they_are() -> None:
    shown = envelope(ApiError(500, {"code": "X", "error": ["odd"]}, context="planning"))
    assert "hint" not in shown
