"""Exit codes, once: what each number means, and which outcome of a command gives which.

README, llms-cli.txt, the man page, docs/protocol/errors.md, the help of a command and `run402 schema` are made from these
tables or compared with them by tests. Every command that looks and may find something bad has its row, also where that
is 0. Not in the rows: errors (1) and signals, which are the same for all.
"""

from __future__ import annotations

MEANINGS: dict[int, str] = {
    0: "done",
    1: "an error, told by the last line of stderr; or the answer is no, on stdout, where the help of the command says so",
    2: "the answer is no, or could not be had, where the help of the command says so",
    130: "stopped by SIGINT; the error names the command that continues",
    141: "the reader of stdout had gone",
    143: "stopped by SIGTERM; likewise",
}

_IMPORT = {0: "imported, or with --dry-run could be", 1: "not"}
_EXPORT = {0: "the archive is ready", 1: "it is not, as always without --wait or --output"}
_APPLY = {0: "live, checked or planned", 1: "not; also when --rehearse did not pass"}
_SKILL = {0: "up to date", 2: "an edited file was left alone"}
_LOOKED = {0: "also when it is not well"}
_STATE = {0: "whatever its state, failed too"}
OUTCOMES: dict[str, dict[int, str]] = {
    "up": {0: "deployed", 1: "a check failed", 2: "--verify found edges that disagree"},
    "up verify": {0: "every check passed", 1: "one failed"},
    "status": {0: "always; what cannot be read is null"},
    "doctor": {0: "every check passed", 1: "one failed"},
    "operator whoami": {0: "signed in", 1: "nobody is"},
    "operator status": {0: "always"},
    "credentials project-keys status": {0: "also when nothing is cached"},
    "credentials status": _LOOKED,
    "agent status": _LOOKED,
    "org whoami": {0: "also without an organization"},
    "tier status": {0: "also when the lease is over"},
    "pay": {0: "every final answer that was not paid for, whatever its status"},
    "projects current": {0: "also when the server does not confirm it"},
    "projects get": {0: "whatever its state"},
    "projects usage": {0: "also over a limit"},
    "projects validate-expose": {0: "also with findings"},
    "projects export": _EXPORT,
    "cloud archives create": _EXPORT,
    "cloud archives status": _STATE,
    "archives verify": {0: "whole and safe", 1: "not"},
    "archives inspect": {0: "also when it is damaged"},
    "core status": {0: "also when it does not run or is not healthy"},
    "core projects import": _IMPORT,
    "deploy apply": _APPLY,
    "apply": _APPLY,
    "deploy rehearse": {0: "it passed", 1: "it did not"},
    "deploy verify": {0: "gateway and edge agree", 2: "they do not"},
    "deploy diagnose": {0: "also when it would not be served"},
    "deploy resolve": {0: "also when it would not be served"},
    "snapshots get": _STATE,
    "snapshots restore": {0: "also when accepted and not yet finished"},
    "jobs get": _STATE,
    "functions runs get": _STATE,
    "functions logs": {0: "also after Ctrl-C or SIGTERM of --follow"},
    "logs": {0: "also when the logs of a function could not be read"},
    "errors": {0: "shown, or no new errors", 1: "--fail-on-new found new ones", 2: "--fail-on-new got no verdict"},
    "assets diagnose": {0: "it serves what it should", 1: "it does not"},
    "cdn wait-fresh": {0: "fresh", 1: "time is over"},
    "cache inspect": {0: "also for MISS"},
    "domains status": _LOOKED,
    "domains dns": _LOOKED,
    "domains check": _LOOKED,
    "domains test-receive": {0: "also when no mail arrives"},
    "domains wait": {0: "ready", 1: "DOMAIN_WAIT_TIMEOUT, with what is still open"},
    "contracts status": _STATE,
    "contracts get-signer": {0: "whatever its state"},
    "escalations get": {0: "also when nobody has taken over"},
    "escalations raise": {0: "raised, or somebody took over", 2: "--wait ended and nobody has"},
    "claims create": {0: "also when others claim the same"},
    "identity link show": {0: "also when it is not verified"},
    "transfer preview": {0: "also when it could not be accepted"},
    "ai moderate": {0: "also when the text is flagged"},
    "email info": {0: "whatever its state"},
    "email get": {0: "also when it was not delivered"},
    "notifications get": {0: "also when it was not delivered"},
    "notifications channels connect": {0: "connected", 1: "nobody tapped"},
    "service health": {0: "healthy", 1: "not, or no answer"},
    "service status": {0: "whatever it reports"},
    "skill install": _SKILL,
    "skill update": _SKILL,
}


def verdicts(command: str) -> list[int]:
    """The codes besides 0 that an outcome of the command has of its own."""
    return [code for code in OUTCOMES.get(command, {}) if code]


def sentence(command: str) -> str:
    """`Exit 0: whole and safe; 1: not.`; empty for a command without outcomes of its own."""
    told = "; ".join(f"{code}: {text}" for code, text in OUTCOMES.get(command, {}).items())
    return f"Exit {told}." if told else ""


def summary() -> str:
    """All numbers in one line of text."""
    told = ". ".join(f"{code} = {text}" for code, text in MEANINGS.items())
    return f"Exit {told}."
