"""What an envelope says is an attribute of the exception too, for Python code."""

from __future__ import annotations

import pytest

from run402_cli.errors import ApiError, CommandError, DeployError, NetworkError, PaymentError, Run402Error

ACTION = {"type": "retry", "command": "run402 status"}


@pytest.mark.parametrize(
    "error",
    [
        ApiError(409, {"hint": "h", "next_actions": [ACTION], "request_id": "req_1"}, context="testing"),
        DeployError("no", code="X", hint="h", next_actions=[ACTION], request_id="req_1"),
        NetworkError("no", read=True, extra={"hint": "h", "next_actions": [ACTION], "request_id": "req_1"}),
        PaymentError("no", code="X", hint="h", next_actions=[ACTION], fields={"request_id": "req_1"}),
    ],
    ids=lambda error: type(error).__name__,
)
def test_hint_actions_and_request_id_are_attributes(error: Run402Error) -> None:
    assert (error.hint, error.next_actions, error.request_id) == ("h", [ACTION], "req_1")


def test_what_is_not_said_is_none() -> None:
    error = CommandError("no")
    assert (error.hint, error.next_actions, error.request_id) == (None, [], None)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = error.nonsense
