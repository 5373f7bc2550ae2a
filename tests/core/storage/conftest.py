"""A project's storage as the tests of this folder use it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from storage_kit import Storage


@pytest.fixture
def storage(client: httpx.Client, project: dict[str, Any]) -> Storage:
    return Storage(client, project)
