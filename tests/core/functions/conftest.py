"""A project with functions as the tests of this folder use it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from functions_kit import Functions


@pytest.fixture
def functions(client: httpx.Client, project: dict[str, Any]) -> Functions:
    return Functions(client, project)
