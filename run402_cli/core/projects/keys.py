"""The two keys of a project: the database has their digests, and their text only sealed with a secret of the data directory.

So neither a dump of the database nor anybody who reads it learns a key; the gateway can still show them to the project's
owner and give them to its functions.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import NamedTuple

from run402_cli import advice
from run402_cli.core.errors import GatewayError
from run402_cli.core.functions.vault import Vault
from run402_cli.core.projects.rows import Project, StoredKeys
from run402_cli.core.settings import Settings

SERVICE_KEY_PREFIX = "r402_service_"


class Keys(NamedTuple):
    anon: str
    service: str


def digest(key: str) -> str:
    """Plain SHA-256 is enough: a key is 192 random bits, there is nothing to guess."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def fresh(settings: Settings) -> StoredKeys:
    """Keys for a new project, as the database keeps them."""
    return stored(settings, Keys(f"r402_anon_{secrets.token_hex(24)}", f"{SERVICE_KEY_PREFIX}{secrets.token_hex(24)}"))


def stored(settings: Settings, keys: Keys) -> StoredKeys:
    anon, service = digest(keys.anon), digest(keys.service)
    return StoredKeys(anon, service, Vault(settings).seal(("project keys", anon, service), json.dumps(keys)))


def keys_of(settings: Settings, project: Project) -> Keys:
    """503 keys_unreadable when another data directory sealed them; the keys themselves go on working."""
    kept = project.keys
    text = Vault(settings).open(("project keys", kept.anon_sha256, kept.service_sha256), kept.sealed)
    if text is None:
        raise GatewayError(
            503,
            "keys_unreadable",
            f"The keys of {project.project_id} were sealed with the secrets of another data directory, so this gateway can "
            "check them and not show them or give them to functions. Put the private/secrets.json back that was there "
            f"before, or start with that directory: {advice.command('core', 'start', '--data-dir', advice.Blank('dir'))}",
            retryable=False,
        )
    return Keys(*json.loads(text))
