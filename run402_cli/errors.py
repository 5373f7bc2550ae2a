"""Every failure of run402, as one exception tree. The process edge (main.py) alone prints them and picks the exit code.

    Run402Error                 anything that ends in an error envelope on stderr and exit code `exit_code`
    ├── CommandError            found by the CLI itself: arguments, files, local state       (envelope shape A)
    │   ├── UsageError          BAD_USAGE: wrong, missing or extra argument
    │   ├── FlagError           BAD_FLAG: a flag's value is missing or wrong
    │   └── EnvironmentFault    BAD_ENV: an environment variable or stored setting is unusable
    ├── ValidationError         a value refused before any request by the service layer      (envelope shape B)
    ├── ApiError                the gateway answered with a non-2xx status                   (envelope shape C)
    ├── NetworkError            no answer at all                                             (envelope shape B)
    ├── PaymentError            a 402 was not paid, or nobody knows whether it was           (envelope shape E)
    ├── DeployError             a deploy step failed, local or remote                        (envelope shape D)
    └── OutputLost              the command is done, and its result cannot be written        (envelope shape A)
    Interrupted                 SIGINT or SIGTERM; a BaseException, so that no `except Exception` swallows it
    DryRun                      not a failure: --dry-run stopped before the first write; a BaseException as well

The shapes are written down in docs/protocol/errors.md.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # root help must not pay for typing
    from collections.abc import Mapping, Sequence
    from typing import Any

    NextActions = Sequence[Mapping[str, Any]]

Envelope = dict[str, "Any"]


def _fixed(kind: str, command: str) -> dict[str, Any]:
    # advice.action for plain words; root help must not pay for that import.
    return {"type": kind, "command": command, "argv": command.split()}


INITIALIZE_WALLET = _fixed("initialize_wallet", "run402 init")
CREATE_PROJECT = _fixed("create_project", "run402 projects provision")
SELECT_PROJECT = _fixed("edit_request", "run402 projects use <project_id>")


class Run402Error(Exception):
    """Base of all expected failures. `envelope()` is what stderr shows; nothing secret may be in it."""

    exit_code = 1
    # Seconds after which the gateway said it would take the request (Retry-After); None when it said nothing.
    retry_after: float | None = None

    # What the envelope says, for Python code; None (or no action) where it says nothing.
    hint: str | None
    next_actions: Any
    request_id: str | None

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __getattr__(self, name: str) -> Any:
        if name not in ("hint", "next_actions", "request_id"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self.envelope().get(name, [] if name == "next_actions" else None)

    def envelope(self) -> Envelope:
        raise NotImplementedError


class CommandError(Run402Error):
    """A failure that the CLI found itself, before or without HTTP."""

    code = "BAD_USAGE"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str | None = None,
        details: Any = None,
        field: str | None = None,
        next_actions: NextActions = (),
        retryable: bool = False,
        safe_to_retry: bool = True,
        exit_code: int = 1,
    ) -> None:
        super().__init__(message)
        self.code = code or self.code
        self.hint = hint
        self.details = details
        self.field = field
        self.next_actions = [dict(action) for action in next_actions]
        self.retryable = retryable
        self.safe_to_retry = safe_to_retry
        self.exit_code = exit_code

    def envelope(self) -> Envelope:
        out: Envelope = {
            "status": "error",
            "code": self.code,
            "message": self.message,
            "retryable": self.retryable,
            "safe_to_retry": self.safe_to_retry,
        }
        if self.hint is not None:
            out["hint"] = self.hint
        if self.details is not None:
            out["details"] = self.details
        if self.field is not None:
            out["field"] = self.field
        out["next_actions"] = self.next_actions
        out["trace_id"] = None
        return out


class UsageError(CommandError):
    """BAD_USAGE."""


class FlagError(CommandError):
    """BAD_FLAG."""

    code = "BAD_FLAG"


class EnvironmentFault(CommandError):
    """BAD_ENV."""

    code = "BAD_ENV"


class ValidationError(Run402Error):
    """A value refused by the service layer before any request; `code` LOCAL_ERROR unless the value has its own.

    LOCAL_ERROR says which in `details.reason`: `reason`, else BAD_ and the name in `details.field`.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "LOCAL_ERROR",
        reason: str | None = None,
        details: Any = None,
        next_actions: NextActions | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.details = details
        if code == "LOCAL_ERROR":
            known = details or {}
            field = str(known.get("field", "path" if "path" in known else "value"))
            self.details = {**known, "reason": reason or f"BAD_{_upper(field)}"}
        self.next_actions = next_actions

    def envelope(self) -> Envelope:
        out: Envelope = {"status": "error", "code": self.code, "message": self.message}
        if self.details is not None:
            out["details"] = self.details
        if self.next_actions is not None:
            out["next_actions"] = [dict(action) for action in self.next_actions]
        return {**out, "category": "local", "retryable": False}


def _upper(word: str) -> str:
    """A word as it stands in a code: `--run-at` is RUN_AT, `routes.0.file` is FILE."""
    return word.rpartition(".")[2].lstrip("-").replace("-", "_").replace(" ", "_").upper()


class NetworkError(Run402Error):
    """No answer: refused, reset, timed out, or the name did not resolve. `read` marks requests that change nothing.

    `remedy` is what makes the gateway reachable again; it comes before all other next actions.
    """

    def __init__(
        self, message: str, *, read: bool, extra: Mapping[str, Any] | None = None, remedy: NextActions = ()
    ) -> None:
        super().__init__(message)
        self.read = read
        self.extra = dict(extra or {})
        self.remedy = [dict(action) for action in remedy]

    def envelope(self) -> Envelope:
        out: Envelope = {
            "status": "error",
            "message": self.message,
            "code": "NETWORK_ERROR",
            "category": "network",
            "retryable": True,
        }
        if self.read:
            out["safe_to_retry"] = True
        out |= self.extra
        if self.remedy:
            out["next_actions"] = [*self.remedy, *out.get("next_actions", ())]
        return out


# What to look at after a refusal that this program names itself, and why.
_LOOK = {
    "UNAUTHORIZED": (("status",), "It shows the wallet and the gateway in use."),
    "PROJECT_HAS_PENDING_TRANSFER": (("transfer", "list"), "Accept or cancel the transfer, then repeat."),
    "PAYMENT_REQUIRED": (("tier", "status"), "It shows what the wallet's organization pays for."),
}
_WRITE_AUTH = {"WRITE_AUTH_REQUIRED", "WRITE_AUTH_BINDING_MISMATCH", "WRITE_AUTH_SESSION_INVALID"}


class ApiError(Run402Error):
    """The gateway answered with a non-2xx status. Its JSON body is passed through whole.

    `http` is the status, `body` the parsed JSON object, the text, or None; `context` a verb phrase that names the
    operation ("fetching service health"). `extra` fills keys that the body does not have.
    """

    def __init__(self, http: int, body: Any, *, context: str, extra: Mapping[str, Any] | None = None) -> None:
        self.http = http
        self.body = body
        self.context = context
        self.extra = dict(extra or {})
        super().__init__(self._message())

    @property
    def fields(self) -> dict[str, Any]:
        return self.body if isinstance(self.body, dict) else {}

    @property
    def code(self) -> str:
        code = self.fields.get("code")
        return code if isinstance(code, str) and code else self._defaults()[0]

    @property
    def retryable(self) -> bool:
        value = self.fields.get("retryable")
        return value if isinstance(value, bool) else False

    @property
    def needs_operator_approval(self) -> bool:
        return self.http == 403 and self.code in _WRITE_AUTH

    @property
    def explained(self) -> str | None:
        """What the answer itself says in words."""
        said = (self.fields.get(key) for key in ("message", "error"))
        return next((text for text in said if isinstance(text, str) and text), None)

    def _message(self) -> str:
        return self.explained or f"The gateway refused {self.context} (HTTP {self.http})."

    def _defaults(self) -> tuple[str, str]:
        """Default code and category for the status (docs/protocol/errors.md, "Status to code")."""
        code = self.fields.get("code")
        if self.http == 402:
            return "PAYMENT_REQUIRED", "payment_required"
        if self.http in (401, 403):
            return "UNAUTHORIZED", "auth"
        if self.http == 409 and code == "PROJECT_HAS_PENDING_TRANSFER":
            return "PROJECT_HAS_PENDING_TRANSFER", "validation"
        return "API_ERROR", "api"

    def envelope(self) -> Envelope:
        code, category = self._defaults()
        out: Envelope = {"status": "error", "http": self.http}
        if isinstance(self.body, dict):
            out.update({key: value for key, value in self.body.items() if value is not None})
        elif isinstance(self.body, str):
            out["body_preview"] = self.body[:500]
        if not out.get("message"):
            out["message"] = self.message
        if out.get("code") in (None, "API_ERROR"):
            out |= _reasoned(self.fields)
        from math import ceil

        wait = None if self.retry_after is None else ceil(self.retry_after)
        defaults = {"code": code, "category": category, "retryable": False, "retry_after_seconds": wait}
        defaults |= {**self.extra, **self._synthesized()}
        for key, value in defaults.items():
            if value is not None and (key not in out or out[key] == []):  # an empty list says nothing
                out[key] = value
        if "hint" not in out and (hint := self._hint(out)):
            out["hint"] = hint
        out["status"] = "error"
        out["http"] = self.http
        return out

    def _synthesized(self) -> dict[str, Any]:
        if self.fields.get("next_actions") is not None:
            return {}
        if self.code == "AUTH_REQUIRED":
            why = "This call needs a signed-in caller."
            return {"next_actions": [{"type": "authenticate", "auth": "SIWX", "why": why}]}
        if self.code in _LOOK:
            from run402_cli import advice

            words, why = _LOOK[self.code]
            return {"next_actions": [advice.action("run_command", *words, why=why)]}
        return {}

    def _hint(self, out: Envelope) -> str | None:
        if out["code"] == "NOT_AUTHORIZED":
            return _not_authorized_hint(out.get("details"))
        if out["code"] == "PROJECT_CREDENTIAL_PROJECT_MISMATCH":
            return (
                "The service key belongs to another project. Import the right one: "
                "run402 credentials project-keys import --project <id> --service-key-stdin"
            )
        if out["code"] in ("PROJECT_CREDENTIAL_INVALID", "PROJECT_CREDENTIAL_EXPIRED"):
            return (
                "The server rejected the cached key. Import a current one with "
                "`run402 credentials project-keys import`, or rotate it with `run402 credentials rotate`."
            )
        return None


def _reasoned(body: Envelope) -> Envelope:
    """`details.reason` for an answer without a code of its own: its word in `error`, in capitals; {} without a word."""
    word, details = body.get("error"), body.get("details")
    if not isinstance(word, str) or not word.isascii() or not word.replace("_", "a").isalnum():
        return {}
    if details is not None and not isinstance(details, dict):
        return {}
    return {"details": {"reason": _upper(word), **(details or {})}}


def _not_authorized_hint(details: Any) -> str:
    needs = []
    if isinstance(details, dict):
        if isinstance(details.get("required_role"), str):
            needs.append(f"role {details['required_role']}")
        if isinstance(details.get("required_capability"), str):
            needs.append(f"capability {details['required_capability']}")
    wanted = f"It needs {' and '.join(needs)}. " if needs else ""
    return (
        f"You are signed in but not allowed to do this. {wanted}Roles: owner > admin > developer > billing > viewer, or "
        "a grant on the project; owner for high-stakes operations. A project that does not exist gives the same answer: "
        "check the id."
    )


class DeployError(Run402Error):
    """A deploy step failed. `fields` are the envelope's own keys; `http` only for answers without a code.

    Keys on top of status, code, message: phase, resource, operation_id, plan_id, fix, logs, details, retryable
    (default false), rolled_back (default false), attempts, max_retries, last_retry_code.
    """

    def __init__(self, message: str, *, code: str, **fields: Any) -> None:
        super().__init__(message)
        self.code = code
        self.fields = {key: value for key, value in fields.items() if value is not None}

    @property
    def retryable(self) -> bool:
        return self.fields.get("retryable") is True

    def envelope(self) -> Envelope:
        out: Envelope = {"status": "error", "code": self.code, "message": self.message}
        out.update(self.fields)
        out.setdefault("retryable", False)
        out.setdefault("rolled_back", False)
        if self.retry_after is not None:
            from math import ceil

            out.setdefault("retry_after_seconds", ceil(self.retry_after))
        return {**out, "status": "error", "code": self.code}


class PaymentError(Run402Error):
    """A payment that was not made, or whose outcome is unknown. `mutation_state` says which (docs/payments.md, "Faults").

    `fields` are further top-level keys (`phase`, `funds_moved`, a seller's own). Amounts are USD micros.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        category: str = "payment",
        error: str | None = None,
        retryable: bool = False,
        safe_to_retry: bool = True,
        mutation_state: str = "not_started",
        details: Mapping[str, Any] | None = None,
        next_actions: NextActions = (),
        hint: str | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable
        self.details = dict(details or {})
        self._shape: Envelope = {
            "error": error or code,
            "category": category,
            "source": "sdk",
            "retryable": retryable,
            "safe_to_retry": safe_to_retry,
            "mutation_state": mutation_state,
            **({"hint": hint} if hint else {}),
            "details": self.details,
            "next_actions": [dict(action) for action in next_actions],
            **(fields or {}),
        }

    def envelope(self) -> Envelope:
        return {"status": "error", "code": self.code, "message": self.message, **self._shape}


class OutputLost(Run402Error):
    """stdout takes nothing (full, closed, its reader gone) when the command has its result. See docs/protocol/errors.md.

    `cause` is the system's error. main.py knows the command and finishes the envelope.
    """

    code = "BAD_ENV"

    def __init__(self, cause: OSError) -> None:
        reason = cause.strerror or type(cause).__name__
        super().__init__(f"The result could not be written to stdout: {reason}.")
        self.cause = cause

    def envelope(self) -> Envelope:
        return EnvironmentFault(self.message, details={"stream": "stdout"}).envelope()


class DryRun(BaseException):
    """--dry-run reached the first write: what would have been sent or changed. Exit 0."""

    def __init__(self, *, requests: Sequence[Mapping[str, Any]] = (), files: Sequence[str] = ()) -> None:
        super().__init__("dry run")
        self.requests = [dict(request) for request in requests]
        self.files = list(files)

    def document(self) -> dict[str, Any]:
        """{dry_run, requests: [{method, url, headers, body}], files}; the writes after the first depend on its answer."""
        return {"dry_run": True, "requests": self.requests, "files": self.files}


class Interrupted(BaseException):
    """SIGINT (exit 130) or SIGTERM (exit 143). `resume` is the command that continues what was interrupted.

    `extra` tells what was left behind: operation_id, plan_id, phase.
    """

    def __init__(self, signal_name: str, exit_code: int, *, resume: str | None = None) -> None:
        super().__init__(signal_name)
        self.message = f"Stopped by {signal_name} before the command finished."
        self.exit_code = exit_code
        self.resume = resume
        self.extra: dict[str, Any] = {}

    def envelope(self) -> Envelope:
        actions = []
        if self.resume:
            from run402_cli import advice

            actions = [advice.entry("retry", advice.parsed(self.resume))]
        shape = CommandError(self.message, code="INTERRUPTED", retryable=True, next_actions=actions)
        return {**self.extra, **shape.envelope()}


class Verdict(BaseException):
    """The command ends with an exit code that is no error: its answer is on stdout, and it is no.

    `why` and `next_command` are for stderr. Only main.py exits; no handler of errors on the way there catches this.
    """

    def __init__(self, exit_code: int, why: str, next_command: str) -> None:
        super().__init__(exit_code, why, next_command)
        self.exit_code, self.why, self.next_command = exit_code, why, next_command


class ChildEnded(BaseException):
    """The command was another program, has ended as that did, and has nothing to add."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


def no_allowance() -> CommandError:
    """The command must sign, and this wallet has no key."""
    return CommandError(
        "This command signs its request, and the active wallet has no key.",
        code="NO_ALLOWANCE",
        hint="Give it one: run402 allowance create. Gateway and projects stay. On the Cloud `run402 init` does more.",
        next_actions=[INITIALIZE_WALLET],
    )


def project_required() -> CommandError:
    return CommandError(
        "No project is selected.",
        code="PROJECT_REQUIRED",
        hint="Pass --project <id>, set RUN402_PROJECT_ID, or run: run402 projects use <project_id>",
        next_actions=[SELECT_PROJECT],
    )
