"""One live gateway per module, one project with a small library in it; the rows are put back before each test."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from database_kit import Databases
from gateway_kit import CONTROL, TOKEN, Running, listening
from library_kit import SCHEMA, Library

from run402_cli.core.settings import Settings


@pytest.fixture(scope="module")
def filled(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    listener = listening()
    with databases.one() as url:
        settings = Settings(
            data_dir=tmp_path_factory.mktemp("gateway"),
            jwt_secret="rest-jwt-secret-" + "x" * 32,
            signed_read_secret="rest-read-secret-" + "x" * 32,
            control_token=TOKEN,
            port=listener.getsockname()[1],
            database_url=url,
        )
        running = Running(settings, url, listener)
        running.start()
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
