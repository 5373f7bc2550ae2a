"""How a public address is answered by the live release, in words. See docs/deploy.md, "Diagnose"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from run402_cli import advice
from run402_cli.client import Client
from run402_cli.errors import CommandError, UsageError

_METHOD = re.compile(r"[A-Z][A-Z0-9!#$%&'*+.^_`|~-]*")
_HOST_FORBIDDEN = re.compile(r"[\s/?#@:]")
_CAS_FAILURES = {
    "missing_cas_object": "the stored bytes are missing",
    "unfinalized_or_deleting_cas_object": "the stored bytes are not finalized, or are being deleted",
    "size_mismatch": "the stored bytes have another size than the release says",
    "unauthorized_cas_object": "the project may not read the stored bytes",
}
_AUTHORIZED = (None, "authorized", "not_applicable")

# What to do about each code, in the order in which they are listed below.
_STEPS = {
    "retry_after_edge_sync": "Wait until the binding has reached the edge, then run this again.",
    "retry_after_edge_propagation": "Wait until the edge has settled, then run this again.",
    "inspect_edge_propagation": "See edge_propagation for what is still on its way.",
    "check_project": "Ask with the project that owns the host: run402 deploy diagnose URL --project <project_id>",
    "check_credentials": "Make sure that the local key belongs to the project that owns the host.",
    "inspect_release_asset": "Compare the asset with the release: run402 deploy release active",
    "redeploy_static_asset": "Deploy the file again: run402 deploy apply",
    "retry_after_cas_finalization": "Wait a moment and run this again.",
    "inspect_cas_object": "See resolution.cas_object for the stored size and digest.",
    "check_domain_binding": "Check that the host is bound to this project: run402 subdomains list",
    "check_dns": "Check that the host's DNS points at the platform.",
    "check_active_release": "See what is live: run402 deploy release active",
    "deploy_release": "Deploy a release: run402 deploy apply",
    "redeploy_static_site": "Deploy the site again: run402 deploy apply",
    "inspect_release": "Look at the release: run402 deploy release get <release_id>",
    "check_public_path": "Use a plain absolute path, without `..` or encoded slashes.",
    "check_static_path": "Check that the site has a file for this path: run402 deploy release active",
    "check_spa_fallback": "Only a site with an SPA fallback answers such a path: see resolution.fallback_state.",
    "restore_spa_fallback": "Put index.html back into the site and deploy it.",
    "check_route_methods": "Add the method to the route, or use one that it allows.",
    "inspect_route": "See the route table: run402 deploy release active",
    "inspect_resolution": "See resolution for the gateway's own words.",
}
_CAS_STEPS = {
    "unauthorized_cas_object": ("check_credentials", "inspect_release_asset"),
    "missing_cas_object": ("redeploy_static_asset", "inspect_release_asset"),
    "unfinalized_or_deleting_cas_object": ("retry_after_cas_finalization", "inspect_release_asset"),
    "size_mismatch": ("redeploy_static_asset", "inspect_cas_object"),
}
_OTHER_CAS_STEPS = ("inspect_cas_object", "redeploy_static_asset")
_MATCH_STEPS = {
    "host_missing": ("check_domain_binding", "check_dns", "check_credentials"),
    "manifest_missing": ("check_active_release", "redeploy_static_site"),
    "active_release_missing": ("check_active_release", "deploy_release"),
    "unsupported_manifest_version": ("redeploy_static_site", "inspect_release"),
    "path_error": ("check_public_path",),
    "none": ("check_static_path", "check_spa_fallback"),
    "spa_fallback_missing": ("restore_spa_fallback",),
    "route_method_miss": ("check_route_methods", "inspect_route"),
}
_MATCH_WORDS = {
    "host_missing": "the host is not bound to a project",
    "manifest_missing": "the release has no manifest",
    "active_release_missing": "the project has no live release",
    "unsupported_manifest_version": "the release's manifest has a version that the gateway does not know",
    "path_error": "the path is not a valid public path",
    "none": "nothing in the release matches",
    "spa_fallback_missing": "the fallback file index.html is missing",
    "spa_fallback": "the site's index.html answers as fallback",
    "static_index": "a directory index file answers",
    "static_exact": "a file of the site answers",
    "route_function": "a function route answers",
    "route_static_alias": "a static route answers",
}


class BadAddress(ValueError):
    """An address that cannot be asked about. The message is for people."""


@dataclass(frozen=True, slots=True)
class Address:
    """What is asked: host, path (None: not sent) and method; `url` is set when it came as one."""

    host: str
    path: str | None
    method: str
    url: str | None = None
    query: str = ""
    fragment: str = ""


def diagnose(
    client: Client,
    project_id: str,
    *,
    url: str | None = None,
    host: str | None = None,
    path: str | None = None,
    method: str | None = None,
) -> dict[str, Any]:
    """The `report` on a URL, or on a host and path. UsageError for an address that cannot be asked about."""
    from run402_cli.services import apply

    try:
        address = from_url(url, method) if url is not None else from_host(host or "", path, method)
    except BadAddress as exc:
        given = {"project": project_id, "host": host, "path": path, "method": method}
        if url is not None:
            given["url"] = without_credentials(url)
        details = {"input": {key: value for key, value in given.items() if value is not None}}
        raise UsageError(f"Cannot look up that address. {exc}", details=details) from exc
    resolution = apply.resolve(client, project_id, host=address.host, path=address.path, method=address.method)
    if not isinstance(resolution, dict):
        raise CommandError(
            "The gateway's answer is no resolution.", code="INTERNAL_ERROR", hint="Retry, or run: run402 service health"
        )
    return report(project_id, address, resolution)


def from_url(url: str, method: str | None) -> Address:
    """Raises BadAddress for anything but an absolute http(s) URL without credentials."""
    try:
        parts = urlsplit(url.strip())
        host, _port = parts.hostname, parts.port
    except ValueError as exc:
        raise BadAddress(f"It is not a URL: {exc}.") from exc
    if parts.scheme not in ("http", "https") or not host:
        raise BadAddress("It must be an absolute http:// or https:// URL.")
    if parts.username is not None or parts.password is not None:
        raise BadAddress("It must not hold a user name or password.")
    query = f"?{parts.query}" if parts.query else ""
    fragment = f"#{parts.fragment}" if parts.fragment else ""
    return Address(host, parts.path or "/", _method(method), url, query, fragment)


def from_host(host: str, path: str | None, method: str | None) -> Address:
    """Raises BadAddress for a host with anything but a name, or a path that is not absolute and plain."""
    if not host or _HOST_FORBIDDEN.search(host):
        raise BadAddress("The host must be a plain name, without scheme, port, path or spaces.")
    if path is not None and (not path.startswith("/") or "?" in path or "#" in path):
        raise BadAddress("The path must start with / and have no ? or #.")
    return Address(host.lower(), path, _method(method))


def _method(value: str | None) -> str:
    method = (value if value is not None else "GET").strip().upper()
    if not _METHOD.fullmatch(method):
        raise BadAddress(f"{value!r} is not an HTTP method.")
    return method


def without_credentials(url: str) -> str:
    """The URL as typed, less user name and password; for error details."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return re.sub(r"//[^/@]*@", "//", url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def report(project_id: str, address: Address, resolution: Mapping[str, Any]) -> dict[str, Any]:
    """The diagnosis: {would_serve, diagnostic_status, match, summary, request, warnings, ..., next_steps}."""
    failure = cas_failure(resolution)
    result, match = resolution.get("result"), resolution.get("match")
    serves = (
        resolution.get("authorized") is True
        and resolution.get("authorization_result") in _AUTHORIZED
        and _is_good(result)
        and match not in ("host_missing", "route_method_miss")
        and failure is None
    )
    edge = resolution.get("edge_propagation")
    return {
        "would_serve": serves,
        "diagnostic_status": result,
        "match": match,
        "summary": _summary(address, resolution, failure, serves=serves),
        "request": _request(project_id, address),
        "warnings": _warnings(address, edge),
        "edge_propagation": edge,
        "resolution": dict(resolution),
        "next_steps": [
            {"code": code, "message": _in_project(_STEPS[code], project_id)}
            for code in _steps(resolution, failure, edge)
            # Nobody looks up a name below localhost.
            if code != "check_dns" or not address.host.endswith(".localhost")
        ],
    }


def _in_project(text: str, project_id: str) -> str:
    """The text with the command at its end on the project that was asked about."""
    for words in advice.commands_in(text):
        if "--project" not in words:
            return f"{text} {advice.line('--project', project_id)}"
    return text


def cas_failure(resolution: Mapping[str, Any]) -> str | None:
    """Why the stored bytes cannot be served, or None."""
    authorization, stored = resolution.get("authorization_result"), resolution.get("cas_object")
    if authorization in _CAS_FAILURES:
        return str(authorization)
    if isinstance(stored, Mapping):
        if stored.get("exists") is False:
            return "missing_cas_object"
        actual = stored.get("actual_size")
        if isinstance(actual, int | float) and actual != stored.get("expected_size"):
            return "size_mismatch"
    return None


def _is_good(result: Any) -> bool:
    return isinstance(result, int) and 200 <= result < 400


def _request(project_id: str, address: Address) -> dict[str, Any]:
    out: dict[str, Any] = {
        "project": project_id,
        "project_scope": "credential_lookup_only",
        "project_sent_to_gateway": False,
    }
    if address.url is not None:
        out["original_url"] = address.url
    out |= {"host": address.host, "path": address.path or "/", "method": address.method}
    ignored = {key: text for key, text in (("query", address.query), ("fragment", address.fragment)) if text}
    return {**out, "ignored": ignored} if ignored else out


def _warnings(address: Address, edge: Any) -> list[dict[str, str]]:
    out = []
    if address.query:
        out.append({"code": "query_ignored", "message": f"The query {address.query} plays no part in the lookup."})
    if address.fragment:
        out.append({"code": "fragment_ignored", "message": f"The fragment {address.fragment} never reaches a server."})
    if isinstance(edge, Mapping) and edge.get("status") not in (None, "settled"):
        hint = edge.get("hint")
        message = hint if isinstance(hint, str) and hint else "The edge has not settled yet."
        out.append({"code": f"edge_{edge['status']}", "message": message})
    return out


def _steps(resolution: Mapping[str, Any], failure: str | None, edge: Any) -> list[str]:
    codes: list[str] = []
    if isinstance(edge, Mapping) and edge.get("status") not in (None, "settled"):
        sync = edge["status"] == "sync_pending"
        codes += ["retry_after_edge_sync" if sync else "retry_after_edge_propagation", "inspect_edge_propagation"]
    if failure is not None:
        codes += _CAS_STEPS.get(failure, _OTHER_CAS_STEPS)
    match = resolution.get("match")
    if match == "host_missing" and resolution.get("binding_status") == "another_project":
        codes.append("check_project")
    elif match in _MATCH_STEPS:
        codes += _MATCH_STEPS[match]
    elif failure is None and not _is_good(resolution.get("result")):
        codes.append("inspect_resolution")
    return list(dict.fromkeys(codes))


def _summary(address: Address, resolution: Mapping[str, Any], failure: str | None, *, serves: bool) -> str:
    label = f"{address.method} {_shown(address)}"
    match = resolution.get("match")
    if failure is not None:
        reason = f"{_CAS_FAILURES[failure]} (sha256 {_digest(resolution)})"
    elif match == "route_method_miss":
        allowed = resolution.get("allow")
        listed = ", ".join(map(str, allowed)) if isinstance(allowed, list) else "other methods"
        reason = f"the route allows only {listed}"
    elif resolution.get("authorization_result") == "unsupported_manifest_version":
        reason = _MATCH_WORDS["unsupported_manifest_version"]
    else:
        reason = _MATCH_WORDS.get(str(match), f"the gateway reports {match!r}")
    verdict = "would be served" if serves else "would not be served"
    if match == "host_missing" and resolution.get("binding_status") == "another_project":
        return f"{label}: the host belongs to another project, and only its own --project can be asked about it."
    return f"{label} {verdict}: {reason} (status {resolution.get('result')})."


def _digest(resolution: Mapping[str, Any]) -> Any:
    stored = resolution.get("cas_object")
    return (stored.get("sha256") if isinstance(stored, Mapping) else None) or resolution.get("static_sha256")


def _shown(address: Address) -> str:
    if address.url is None:
        return f"https://{address.host}{address.path or '/'}"
    parts = urlsplit(address.url)
    return f"{parts.scheme}://{parts.netloc}{parts.path or '/'}"
