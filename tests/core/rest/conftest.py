"""One live gateway per module, one project with a small library in it; the rows are put back before each test."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from database_kit import Databases
from gateway_kit import CONTROL, prepared
from library_kit import SCHEMA, Library


@pytest.fixture(scope="module")
def filled(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    with databases.one() as url:
        running = prepared(tmp_path_factory.mktemp("gateway"), url)
        running.start()
        settings = running.settings
        created = httpx.post(
            f"{settings.public_url}/projects/v1", json={"name": "library"}, headers=CONTROL, trust_env=False
        )
        library = Library(settings.public_url, settings, url, created.json())
        library.sql(SCHEMA)
        yield library
        running.stop()


@pytest.fixture
def library(filled: Library) -> Library:
    filled.restore()
    return filled
