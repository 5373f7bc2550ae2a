"""/archives/v1/import: an archive becomes a new project. See docs/archives.md."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.archives.importing import Wish, import_archive
from run402_cli.core.errors import GatewayError
from run402_cli.core.functions.secrets import check_secret
from run402_cli.core.gateway import gateway_of
from run402_cli.core.web.http import read_object, reply

DEFAULT_NAME: Final = "imported-project"
MAX_NAME: Final = 120
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


async def import_route(request: Request) -> Response:
    """POST /archives/v1/import {archive_path, name?, dry_run?, require_runnable?, secret_values?}: the import result.

    201 imported, 200 dry_run, 422 blocked or failed; 422 {error: <archive code>, message, details} for an archive that
    verifies but cannot become a project; 400 invalid_request. No key is in the result. docs/archives.md
    """
    wish = read_wish(await read_object(request))
    status, result = await import_archive(gateway_of(request), wish)
    return reply(result, status)


def read_wish(body: Mapping[str, Any]) -> Wish:
    """Check a request body; camelCase names are read too. 400 invalid_request, 422 unsupported_capability."""

    def given(snake: str, *others: str) -> Any:
        return next((body[key] for key in (snake, *others) if body.get(key) is not None), None)

    if given("target") is not None:
        raise GatewayError(
            422,
            "unsupported_capability",
            "An archive is imported as a new project; merging it into an existing one is not possible. Leave target out.",
            capability="archives.import.existing-project-merge",
            code="UNSUPPORTED_CAPABILITY",
        )
    path, name = given("archive_path", "archivePath"), given("name", "project_name", "projectName")
    if not isinstance(path, str) or not Path(path).is_absolute() or "\0" in path:
        raise _invalid("archive_path must be the absolute path of an archive on the gateway's machine.")
    if name is not None and (not isinstance(name, str) or len(name.strip()) > MAX_NAME or _CONTROL.search(name)):
        raise _invalid(f"name must be text of at most {MAX_NAME} characters.")
    flags = {key: given(key, other) for key, other in (("dry_run", "dryRun"), ("require_runnable", "requireRunnable"))}
    for key, value in flags.items():
        if value is not None and not isinstance(value, bool):
            raise _invalid(f"{key} must be true or false.")
    secrets = given("secret_values", "secretValues")
    secrets = {} if secrets is None else secrets
    if not isinstance(secrets, dict):
        raise _invalid("secret_values must be an object of names and values.")
    for key, value in secrets.items():
        check_secret(key, value)
    name = (name or "").strip() or DEFAULT_NAME
    return Wish(Path(path), name, flags["dry_run"] is True, flags["require_runnable"] is True, secrets)


def _invalid(message: str) -> GatewayError:
    return GatewayError(400, "invalid_request", message)
