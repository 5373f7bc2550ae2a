"""Who is calling: project keys, issued credentials, and HS256 tokens of end users. See docs/local-gateway.md."""

from __future__ import annotations

import hmac
import json
from typing import Any, Literal

import jwt
from jwt.api_jws import PyJWS
from starlette.requests import Request

from run402_cli import advice
from run402_cli.core.callers import reach
from run402_cli.core.callers.credential_rows import find_credential
from run402_cli.core.db import Connection
from run402_cli.core.errors import GatewayError
from run402_cli.core.projects import rows
from run402_cli.core.projects.keys import digest
from run402_cli.core.projects.rows import PROJECT_ID, Project
from run402_cli.core.settings import Settings

_jws = PyJWS()
KEY_PREFIX = "r402_"


async def project_by_id(conn: Connection, project_id: str) -> Project:
    """The project, or 400 invalid_project_id (malformed) / 404 project_not_found. docs/local-gateway.md.

    403 when what the request carries does not reach it (reach.py): not_authorized for a wallet, project_mismatch for a key.
    """
    project = await existing_project(conn, project_id)
    await reach.check(conn, project_id)
    return project


async def existing_project(conn: Connection, project_id: str) -> Project:
    """Like project_by_id, whoever asks: for what the gateway itself has to do."""
    if not PROJECT_ID.fullmatch(project_id):
        raise await _no_id(conn, project_id)
    project = await rows.find(conn, project_id)
    if project is None:
        raise GatewayError(
            404,
            "project_not_found",
            f"This gateway has no project {project_id}. `run402 projects list` prints the ones it has.",
            project_id=project_id,
        )
    return project


async def _no_id(conn: Connection, text: str) -> GatewayError:
    """400 invalid_project_id; with `project_id` when the text is the name of one project that the caller may see."""
    found = await reach.visible(conn, name=text, limit=2) if "\0" not in text else []
    named = [project.project_id for project in found]
    told = "Ids begin with prj_; `run402 projects list` prints yours."
    if len(named) == 1:
        told = (
            f"It is the name of {named[0]}: `{advice.command('projects', 'use', named[0])}` makes that the active one."
        )
    more = {"project_id": named[0]} if len(named) == 1 else {}
    message = f"{text!r} is not a project id. {told}"
    return GatewayError(400, "invalid_project_id", message, **more)


async def key_holder(conn: Connection, key: str) -> tuple[Project, Literal["anon", "service"]] | None:
    """Whose key this is: a project's own anon or service key, or a live issued credential. None for anything else."""
    if not key or "\x00" in key:
        return None
    return await rows.find_by_key(conn, digest(key)) or await _issued_credential(conn, key)


async def project_id_of(conn: Connection, settings: Settings, credential: str) -> str | None:
    """Whose project a key or a user's token opens; None for what opens nothing."""
    if credential.count(".") != 2:
        holder = await key_holder(conn, credential)
        return None if holder is None else holder[0].project_id
    try:
        return verify_token(settings, credential).get("project_id")
    except GatewayError:
        return None


async def _issued_credential(conn: Connection, key: str) -> tuple[Project, Literal["anon", "service"]] | None:
    found = await find_credential(conn, key)
    if found is None:
        return None
    project_id, kind = found
    return await existing_project(conn, project_id), kind


async def require_service_key(conn: Connection, request: Request, project_id: str) -> Project:
    """The project of the path, if the caller holds its service key. 404 project_not_found comes before 401."""
    # Who holds the key may, whatever wallet they have.
    project = await existing_project(conn, project_id)
    kinds = [await _kind_of(conn, key, project) for key in sent_keys(request)]
    if "service" in kinds and all(kinds):
        return project
    given = "The key sent is not" if presented_key(request) else "No key was sent; this route needs"
    raise GatewayError(
        401,
        "authentication_required",
        f"{given} the service key of {project_id}. Send it as `Authorization: Bearer <service_key>` or `apikey`.",
        code=None,
    )


async def _kind_of(conn: Connection, key: str, project: Project) -> str | None:
    """Which of the project's keys this is; None for any other."""
    if same_secret(digest(key), project.keys.service_sha256):
        return "service"
    holder = await key_holder(conn, key)
    return holder[1] if holder is not None and holder[0].project_id == project.project_id else None


async def key_owner(conn: Connection, request: Request) -> Project:
    """The project whose service key the request holds, in either header. 401 authentication_required; 403 as holders_of."""
    for project, kind in await holders_of(conn, sent_keys(request)):
        if kind == "service":
            return project
    raise GatewayError(
        401,
        "authentication_required",
        "This route needs the service key of the project, as `Authorization: Bearer <service_key>` or `apikey`. "
        "`run402 credentials project-keys status` shows where the keys are.",
    )


async def holders_of(conn: Connection, keys: list[str]) -> list[tuple[Project, Literal["anon", "service"]]]:
    """Whose keys these are. 401 for one that is not alive, 403 project_mismatch when they belong to two projects."""
    holders = [await key_holder(conn, key) for key in keys]
    found = [holder for holder in holders if holder is not None]
    if len(found) < len(holders):
        message = (
            "The key sent is not a live key of any project of this gateway: it was revoked, or its project was deleted."
        )
        raise _unauthenticated(message)
    if len({project.project_id for project, _ in found}) > 1:
        raise GatewayError(403, "project_mismatch", "The two keys sent belong to two projects. Send one of them.")
    return found


def sent_keys(request: Request) -> list[str]:
    """Every key that the request carries, each once; a bearer that is no key (a token) is none of them."""
    bearer = bearer_of(request) or ""
    return [*{request.headers.get("apikey", ""), bearer if bearer.startswith(KEY_PREFIX) else ""} - {""}]


def presented_key(request: Request) -> str | None:
    """The `apikey` header, else the bearer token."""
    return request.headers.get("apikey") or bearer_of(request)


def bearer_of(request: Request) -> str | None:
    """The token of `Authorization: Bearer <token>` (scheme in any case), or None."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def same_secret(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())


def sign_token(settings: Settings, claims: dict[str, Any]) -> str:
    """An HS256 token; keys are sorted so that equal claims give equal bytes."""
    payload = json.dumps(claims, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return _jws.encode(payload, settings.jwt_secret, algorithm="HS256", sort_headers=True)


def verify_token(settings: Settings, token: str) -> dict[str, str]:
    """The string claims of a token signed by this gateway. 401 authentication_required when it is not, or expired."""
    return {name: value for name, value in token_claims(settings, token).items() if isinstance(value, str)}


def token_claims(settings: Settings, token: str) -> dict[str, Any]:
    """Like verify_token, with the claims that are no text: email_verified, auth_time, amr."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token, settings.jwt_secret, algorithms=["HS256"], options={"verify_aud": False, "verify_iat": False}
        )
    except jwt.ExpiredSignatureError as exc:
        raise GatewayError(
            401,
            "authentication_required",
            "The bearer token has expired. Sign in again, or get a new one from POST /auth/v1/dev-tokens.",
            code="TOKEN_EXPIRED",
        ) from exc
    except (jwt.PyJWTError, ValueError, RecursionError) as exc:
        raise GatewayError(
            401,
            "authentication_required",
            f"The bearer token was not accepted: {exc}. Use a token of this gateway, or only the apikey header.",
            code=None,
        ) from exc
    return claims


async def caller_project(conn: Connection, request: Request, project_id: object = None) -> Project:
    """The project of the key that was sent, else the one named by id; 401 when neither is given.

    A key of one project together with the id of another is refused with 403 project_mismatch.
    """
    found = reach.reach.get()
    own = found.project_id if found is not None else None
    named = project_id if isinstance(project_id, str) and project_id else own
    if named is None:
        raise _unauthenticated(
            "This route needs to know the project: send its service key as `apikey`, or project_id. "
            "`run402 projects use <project_id>` stores the keys locally."
        )
    if own is not None and named != own:
        raise GatewayError(
            403,
            "project_mismatch",
            f"The apikey belongs to {own}, the request names {named}. Use matching ones.",
        )
    return await project_by_id(conn, named)


def _unauthenticated(message: str) -> GatewayError:
    return GatewayError(401, "authentication_required", message)
