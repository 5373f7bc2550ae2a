"""Plan warnings: which of them stop a deploy, and what to do about each. See docs/deploy.md, "Warnings"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from run402_cli import advice, as_typed
from run402_cli.errors import DeployError
from run402_cli.secrecy import CommandLine

MISSING_SECRET = "MISSING_REQUIRED_SECRET"
REMOVALS_UNKNOWN = "REMOVALS_UNKNOWN"
# What a site deploy that confirms its pruning has agreed to.
SITE_REMOVALS = (
    "RUN402_CORE_DESTRUCTIVE_SITE_BULK_REMOVAL",
    "RUN402_CORE_SITE_ENTRYPOINT_REMOVED",
    "RUN402_CORE_ZERO_SITE_FILES_AFTER",
    REMOVALS_UNKNOWN,
)
# The refusals of a reviewed plan that a new review cures.
STALE_PLAN = ("PLAN_STALE", "PLAN_MISMATCH", "PLAN_EXPIRED", "PLAN_NOT_FOUND", "PLAN_FINGERPRINT_MISMATCH")
_UNNAMED = "DEPLOY_WARNING_REQUIRES_CONFIRMATION"

Warning_ = Mapping[str, Any]


class Guidance(NamedTuple):
    """A hint and (type, command or None, why) per next action."""

    hint: str
    actions: tuple[tuple[str, str | None, str], ...]


def _do(why: str, command: str | None = None) -> tuple[str, str | None, str]:
    return ("edit_request", command, why)


_ACTIVE = "run402 deploy release active"
_ACCEPT = ("retry", "run402 deploy apply --allow-warnings", "Retry when this is what you want.")
_READONLY = "WILDCARD_ROUTE_EXCLUDES_MUTATION_METHODS"

ROUTE_GUIDANCE: dict[str, Guidance] = {
    "PUBLIC_ROUTED_FUNCTION": Guidance(
        "The route lets any browser call the function. Direct calls need the project key, routed ones do not.",
        (
            _do("Check that the function authenticates its callers."),
            _do("Protect requests that rely on cookies against CSRF."),
            _do("Answer CORS preflight (OPTIONS) as intended."),
            _ACCEPT,
        ),
    ),
    "ROUTE_TARGET_CARRIED_FORWARD": Guidance(
        "A route of the base release stays and still targets one of its functions.",
        (
            _do("See the routes that are live.", _ACTIVE),
            _do("Deploy routes.replace to change the table.", "run402 deploy apply --manifest <path>"),
        ),
    ),
    "ROUTE_SHADOWS_STATIC_PATH": Guidance(
        "A function route answers a path that the site also has as a file; the file is no longer reachable there.",
        (
            _do("Look at the affected paths in the warning's details."),
            _do("Compare with what is live.", _ACTIVE),
            _ACCEPT,
        ),
    ),
    "WILDCARD_ROUTE_SHADOWS_STATIC_PATHS": Guidance(
        "A wildcard route covers static files; they are no longer reachable.",
        (_do("Look at the affected paths."), _do("Narrow the route, or move the files elsewhere."), _ACCEPT),
    ),
    "METHOD_SPECIFIC_ROUTE_ALLOWS_GET_STATIC_FALLBACK": Guidance(
        "Methods that the route does not list fall back to the static file of that path.",
        (
            _do("Confirm that GET should serve the file."),
            _do("Add the missing methods to the route, or remove the file."),
        ),
    ),
    _READONLY: Guidance(
        "The wildcard function route takes only GET and HEAD: other methods are refused before the function runs.",
        (
            _do("Add the methods that the function handles."),
            _do("Leave methods out to route all of them."),
            _do("Set acknowledge_readonly: true on the route when it is read-only on purpose."),
            (
                "retry",
                "run402 deploy apply --allow-warning WILDCARD_ROUTE_EXCLUDES_MUTATION_METHODS",
                "Retry as it is.",
            ),
        ),
    ),
    "ROUTE_TABLE_NEAR_LIMIT": Guidance(
        "The route table is close to its size limit.",
        (_do("Merge routes that share a prefix."), _do("Remove routes that nothing uses.")),
    ),
    "ROUTES_NOT_ENABLED": Guidance(
        "Web routes are not enabled for this project. Direct function calls need a key: browsers cannot make them.",
        (
            _do("Deploy without routes, or ask for routes to be enabled."),
            _do("Keep the functions' direct calls protected."),
        ),
    ),
    "STATIC_ALIAS_SHADOWS_STATIC_PATH": Guidance(
        "A static route serves another file at a path that the site has itself.",
        (_do("Look at both files."), _do("Keep the route only when it should win.")),
    ),
    "STATIC_ALIAS_RELATIVE_ASSET_RISK": Guidance(
        "The page refers to assets by relative URLs, which resolve differently under the route's path.",
        (_do("Open the page under the route's path."), _do("Use absolute asset URLs.")),
    ),
    "STATIC_ALIAS_DUPLICATE_CANONICAL_URL": Guidance(
        "The same content is reachable under two URLs.",
        (_do("Choose the one to keep."), _do("Link to that one only.")),
    ),
    "STATIC_ALIAS_EXTENSIONLESS_NON_HTML": Guidance(
        "A route without a file extension serves something that is no HTML.",
        (_do("Check the file's content type."), _do("Route to an HTML file, or keep the extension.")),
    ),
    "STATIC_ALIAS_TABLE_NEAR_LIMIT": Guidance(
        "Static routes count toward the route limit, which is close.",
        (_do("Merge routes."), _do("Let the site's own paths serve pages instead of one route for each.")),
    ),
}


def gate(warnings: Sequence[Any], *, allow_all: bool, allowed: Sequence[str]) -> None:
    """Raise DeployError unless every blocking warning is acknowledged; nothing has been uploaded yet."""
    blocking = [warning for warning in warnings if isinstance(warning, dict) and blocks(warning)]
    left = [] if allow_all else [warning for warning in blocking if warning.get("code") not in allowed]
    if not left:
        return
    codes = [str(warning.get("code") or _UNNAMED) for warning in left]
    code = MISSING_SECRET if MISSING_SECRET in codes else codes[0]
    texts = [str(warning.get("message") or warning.get("code")) for warning in left]
    raise DeployError(
        f"The plan needs your decision before anything is uploaded: {' '.join(texts)}",
        code=code,
        phase="plan",
        resource="warnings",
        retryable=False,
        fix={"action": "review_warnings", "path": "warnings"},
        warnings=blocking,
        unacknowledged_warnings=left,
        unacknowledged_warning_codes=sorted(set(codes)),
        allowed_warning_codes=sorted(set(allowed)),
    )


def unknown_removals(answer: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any] | None:
    """The warning that stands in where a gateway's plan has no `warnings`: the official Core, or an old one of ours.

    Such a gateway removes what the spec leaves out without a word, so the word is ours: a release that follows another
    one and may take something away wants the confirmation that the gateway should have asked for.
    """
    if isinstance(answer.get("warnings"), list) or answer.get("noop") is True or not answer.get("base_release_id"):
        return None
    sections = removing_sections(spec)
    if not sections:
        return None
    return {
        "code": REMOVALS_UNKNOWN,
        "severity": "high",
        "requires_confirmation": True,
        "message": "This gateway does not say what a deploy removes. Whatever the live release has and these parts of "
        f"the spec leave out will be gone: {', '.join(sections)}.",
        "affected": sections,
    }


def removing_sections(spec: Mapping[str, Any]) -> list[str]:
    """The parts of a ReleaseSpec that can take something away from the release before: `site.replace` and so on."""
    parts = {
        "functions": ("replace", "patch.delete"),
        "site": ("replace", "patch.delete"),
        "secrets": ("delete",),
        "subdomains": ("set", "remove"),
        "assets": ("delete", "sync"),
    }
    found = []
    for section, names in parts.items():
        for name in names:
            value: Any = spec.get(section)
            for key in name.split("."):
                value = value.get(key) if isinstance(value, Mapping) else None
            # `replace: {}` and `set: []` remove everything; an empty list of deletions removes nothing.
            if value is not None and (value or name in ("replace", "set")):
                found.append(f"{section}.{name}")
    return found


def blocks(warning: Warning_) -> bool:
    """Whether a warning wants somebody's decision."""
    return warning.get("requires_confirmation") is True or warning.get("code") == MISSING_SECRET


def add_guidance(error: DeployError) -> None:
    """Give an error about plan warnings or routes a hint and next actions, where it has none of its own."""
    if error.code in STALE_PLAN and "--require-plan" in CommandLine(as_typed.words()).given:
        words = as_typed.less("--require-plan", "--plan-fingerprint")
        error.fields["next_actions"] = [advice.action("retry", *words, "--plan", why="Make a new plan, and read it.")]
        error.fields.setdefault("hint", "Review a new plan: what this one was made from, or would do, has changed.")
        return
    raw = error.fields.get("warnings")
    warnings = [warning for warning in raw if isinstance(warning, dict)] if isinstance(raw, list) else []
    codes = [str(warning.get("code")) for warning in warnings] if isinstance(raw, list) else [error.code]
    route = next((ROUTE_GUIDANCE[code] for code in codes if code in ROUTE_GUIDANCE), None)
    if not isinstance(raw, list) and error.code != MISSING_SECRET and route is None:
        return
    if route is not None:
        hint, actions = route.hint, [_action(*action) for action in route.actions]
    else:
        hint, actions = _general_hint(error.code), _general_actions(error, warnings)
    error.fields.setdefault("hint", hint)
    if isinstance(raw, list) or not error.fields.get("next_actions"):
        # What a gateway says about its warnings cannot know the command that was typed.
        error.fields["next_actions"] = actions


def _general_hint(code: str) -> str:
    if code == MISSING_SECRET:
        return "Set the values of the missing secrets, then retry."
    return "Read the warnings. To go on as it is, retry with --allow-warning for each code."


def _general_actions(error: DeployError, warnings: Sequence[Warning_]) -> list[dict[str, Any]]:
    affected = sorted(
        {
            str(key)
            for warning in warnings
            if warning.get("code") == MISSING_SECRET and isinstance(warning.get("affected"), list)
            for key in warning["affected"]
        }
    )
    codes = [str(code) for code in error.fields.get("unacknowledged_warning_codes") or _codes(warnings)]
    allow = [word for code in codes for word in ("--allow-warning", code)]
    accept = advice.action("retry", *_again(*allow), why="Accept exactly these warnings.")
    mended = advice.action("retry", *_again(), why="Retry after the cause is gone.")
    secrets = [
        advice.action("edit_request", "secrets", "set", *_project(), key, "--stdin", why=f"Set the value of {key}.")
        for key in affected
    ]
    if secrets and set(codes) == {MISSING_SECRET}:
        return [*secrets, mended]  # a release that requires a secret is refused until it is set, whatever is accepted
    # Only a secret can be mended and the same command run again: other warnings are about what it does.
    return [*secrets, mended, accept] if secrets else [accept]


def _codes(warnings: Sequence[Warning_]) -> list[str]:
    return sorted({str(warning["code"]) for warning in warnings if warning.get("code")}) or [advice.Blank("code")]


def _again(*more: str) -> tuple[str, ...]:
    """The command that was typed, where one was, with `more`."""
    return as_typed.again(*more) if as_typed.words() else ("deploy", "apply", *more)


def _project() -> list[str]:
    """The project as it was typed, to set a secret in the same one."""
    words = as_typed.words()
    if "--project" in words[:-1]:
        return ["--project", words[words.index("--project") + 1]]
    return []


def _action(kind: str, words: str | None, why: str) -> dict[str, Any]:
    if words is None:
        return {"type": kind, "why": why}
    return advice.action(kind, *(_again(*words.split()[3:]) if kind == "retry" else words.split()[1:]), why=why)
