"""Answering a 402: choose an offer, keep the user's limits, write the journal, sign, send once. See docs/protocol/payments.md.

`Payment` is the path of gateway calls. `run402 pay` has a stricter one in `purchase.py`. Imported only when a 402 carries a
challenge.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from run402_cli import advice, global_options
from run402_cli.client import plain_http, transport
from run402_cli.client.budget import Budget
from run402_cli.client.http import httpx
from run402_cli.client.payments import chain, challenge, errors, x402
from run402_cli.client.payments.chain import Fate
from run402_cli.client.payments.errors import usd
from run402_cli.client.payments.x402 import Authorization, Challenge, ChallengeError, Requirement
from run402_cli.client.urls import same_origin, same_resource
from run402_cli.errors import CommandError, DryRun, PaymentError
from run402_cli.proxies import is_loopback
from run402_cli.state.allowance import Allowance, Payer
from run402_cli.state.attempts import Attempt, Journal, JournalError, intent_sha256
from run402_cli.state.files import now_iso
from run402_cli.state.limits import DEFAULT_PER_DAY, DEFAULT_PER_PAYMENT, Limits, load_limits
from run402_cli.state.profile import Profile

Flow = Generator[httpx.Request, httpx.Response, None]

_HEADERS = ("payment-signature", "x-payment")
_UNRESOLVED = "an earlier attempt is not resolved"
# What a record or an offer that does not fit raises.
_UNFIT = (ChallengeError, PaymentError, ValueError, KeyError, TypeError)
# What is left of an authorization's life when it is presented again must cover the way to the chain.
_MARGIN_S = 5


@dataclass(frozen=True, slots=True)
class Unpaid:
    """A request that was answered by 402. `asked_at` is when it was first sent, `purpose` what it was for.

    `at_most`: what the call may cost, in micro-USD; `budget`: what all payments of the command may cost.
    """

    request: httpx.Request
    response: httpx.Response
    asked_at: str
    purpose: str
    at_most: int
    budget: Budget | None = None


@dataclass(frozen=True, slots=True)
class Signed:
    """A payment that is journaled as being sent."""

    attempt: Attempt
    requirement: Requirement
    header: tuple[str, str]


class Payment(httpx.Auth):
    """One paid retry of an unpaid request; its answer is final. Raises PaymentError, before or after sending."""

    def __init__(self, http: httpx.Client, profile: Profile, allowance: Allowance, unpaid: Unpaid) -> None:
        self.http = http
        self.allowance = allowance
        self.unpaid = unpaid
        self.profile = profile
        self.payer = Payer(profile.base, profile.dir, allowance.address)
        self.journal = Journal(self.payer)
        self.attempt: Attempt | None = None
        self.phase = "challenge_received"
        self._about = _about(unpaid, allowance)

    # -- the flow -------------------------------------------------------------------------------------------------------

    def auth_flow(self, request: httpx.Request) -> Flow:
        """Yields the paid request, sees its answer. Holds the intent's lock, so that nobody else pays for it meanwhile."""
        if global_options.current.dry_run:
            from run402_cli.client import _trace

            raise DryRun(requests=[_trace.described(request)])
        plain_http.refuse_payment(request)
        with self._exclusive():
            signed = self._prepare()
            request.headers[signed.header[0]] = signed.header[1]
            request.headers["X-Run402-Payment-Attempt-Id"] = signed.attempt.id
            self.phase = "payment_submission"
            try:
                response = yield request
                self.phase = "payment_response"
                response.read()
            except GeneratorExit:  # httpx closes the flow when the connection fails
                self._lost(signed.attempt)
                raise
            except httpx.HTTPError as exc:
                self._lost(signed.attempt)
                raise self.lost(exc) from None
            except BaseException:
                self._lost(signed.attempt)
                raise
            signed.attempt.note("response_received", "in_progress", response_status=response.status_code)
            self.conclude(signed, response)
            kept = signed.attempt.fields
            names = ("payment_attempt_id", "amount_usd_micros", "network", "pay_to", "transaction")
            global_options.current.payments.append({name: kept.get(name) for name in names})

    def _lost(self, attempt: Attempt, code: str = "X402_PAYMENT_OUTCOME_AMBIGUOUS") -> None:
        attempt.note("ambiguous", "ambiguous", last_error_code=code)

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self.journal.exclusive(self._about["intent_sha256"]))
            except JournalError as exc:
                raise self.journal_failed(exc) from exc
            yield

    def _prepare(self) -> Signed:
        try:
            again = self._earlier()
        except JournalError as exc:
            if self.attempt is not None:
                raise self.ambiguous(f"{_UNRESOLVED}, and {exc}; nothing was sent now") from exc
            raise self.journal_failed(exc) from exc
        return again if again is not None else self._pay_anew()

    def _pay_anew(self) -> Signed:
        try:
            self.attempt = self.journal.create(**self._about)
        except (JournalError, CommandError) as exc:
            raise self.journal_failed(exc) from exc
        try:
            challenge = self.parse()
            offers = self.affordable(self.eligible(challenge))
            self.phase = "payment_signing"
            return self._reserve(challenge, offers)
        except ChallengeError as exc:
            error = self.signing_failed(str(exc))
        except PaymentError as exc:
            error = exc
        except JournalError as exc:
            error = self.journal_failed(exc)
        except CommandError as exc:
            self.attempt.note("failed", "not_started", last_error_code=exc.code)
            raise
        self.attempt.note("failed", "not_started", last_error_code=error.code)
        raise error

    # -- an earlier attempt of the same intent --------------------------------------------------------------------------

    def _earlier(self) -> Signed | None:
        """The same signed payment again, when an earlier attempt may have paid; None when a new one may be made."""
        prior = next((a for a in self.journal.for_intent(self._about["intent_sha256"]) if self._counts(a)), None)
        if prior is None:
            return None
        self.attempt = prior
        same = self._same_terms(prior)
        if same is not None:
            if prior.unresolved:
                self._agreed([same[1]], earlier=prior.id)
            with contextlib.suppress(*_UNFIT):
                again = int(prior.fields.get("presented_again", 0)) + 1
                return self._signed(prior, *same, _authorization(prior.fields), presented_again=again)
        self._resolve(prior)
        return None

    def _same_terms(self, prior: Attempt) -> tuple[Challenge, Requirement] | None:
        """The offer of now that is the one an earlier attempt signed for, while that may be presented."""
        with contextlib.suppress(*_UNFIT):
            challenge = self.parse()
            requirement = _same_terms(challenge, prior.fields)
            if requirement is not None and int(prior.fields["valid_before"]) > time.time() + _MARGIN_S:
                return challenge, requirement
        return None

    def _counts(self, attempt: Attempt) -> bool:
        """Unresolved, or settled under the same idempotency key, or settled by another process while this one asked."""
        if attempt.unresolved:
            return True
        keyed = "caller_key_sha256" in self._about
        return attempt.state == "completed" and (keyed or str(attempt.fields["updated_at"]) >= self.unpaid.asked_at)

    def _resolve(self, prior: Attempt) -> None:
        """Returns when it is certain that the attempt moved nothing and never will; PaymentError otherwise."""
        if prior.state == "completed":
            raise errors.already_paid(prior)
        fate = self._fate(prior)
        if fate is Fate.USED:
            raise errors.already_paid(prior)
        if fate is not Fate.UNUSED:
            still = "its authorization is still valid, on other terms than now"
            why = still if fate is Fate.OPEN else "the chain does not answer"
            raise self.ambiguous(f"{_UNRESOLVED}, and {why}; nothing was paid now")

    def _fate(self, attempt: Attempt) -> Fate:
        """What the chain says of an attempt that was sent; its record keeps a final answer."""
        fields = attempt.fields
        try:
            fate = chain.authorization_fate(
                self.http,
                fields["network"],
                fields["asset"],
                payer=fields["payer"],
                nonce=fields["nonce"],
                valid_before=int(fields["valid_before"]),
            )
        except (KeyError, ValueError, TypeError, AttributeError):
            return Fate.UNKNOWN
        if fate is Fate.USED:
            attempt.note("completed", "completed", resolved_by="chain")
        elif fate is Fate.UNUSED:
            attempt.update("failed", "not_started", last_error_code="AUTHORIZATION_EXPIRED", resolved_by="chain")
        return fate

    # -- choosing -------------------------------------------------------------------------------------------------------

    def parse(self) -> Challenge:
        """The challenge of the 402; the header wins over a version 1 body. ChallengeError when there is none to pay."""
        response = self.unpaid.response
        if not same_origin(str(response.url), str(self.unpaid.request.url)):
            raise ChallengeError(f"the request was redirected to {response.url.host}, which asks for the money")
        if any(name in self.unpaid.request.headers for name in _HEADERS):
            raise ChallengeError("the request carried a payment already")
        if challenge.CHALLENGE in response.headers:
            parsed = x402.parse_header(response.headers[challenge.CHALLENGE], url_safe=self.url_safe)
        else:
            body = challenge.v1_body(response)
            if body is None:
                raise ChallengeError("the answer asks for no x402 payment")
            parsed = x402.parse_body(body)
        asked = self.unpaid.request.url
        foreign = sorted(url for url in parsed.resource_urls if not same_resource(url, asked))
        if foreign or not parsed.resource_urls:
            raise self.foreign(foreign[0] if foreign else None)
        return parsed

    url_safe = False

    def eligible(self, challenge: Challenge) -> list[Requirement]:
        """The offers that this wallet can sign for, within the user's limit per payment."""
        base = [offer for offer in challenge.requirements if offer.is_base and offer.flow_supported]
        if not base:
            raise ChallengeError(
                f"no offer is `exact` on Base or Base Sepolia (offered: {_listed(challenge.networks)})"
            )
        base = self._fit_for_this_machine(base)
        usdc = [offer for offer in base if offer.is_usdc]
        if not usdc:
            raise ChallengeError("the asked-for token is not USDC of that network")
        priced = [offer for offer in usdc if offer.amount is not None]
        if not priced:
            raise ChallengeError("no amount is a whole number of micro-USD")
        return self._agreed(self._within_payment_limit(priced))

    @property
    def ceiling(self) -> int:
        """What this call may cost: --max-usd, where it was given."""
        told = global_options.current.max_usd_micros
        return self.unpaid.at_most if told is None else told

    def _agreed(self, offers: list[Requirement], *, earlier: str | None = None) -> list[Requirement]:
        """The offers within what this call may cost, and what is left for the command. PaymentError when there is none."""
        assert self.attempt is not None
        amount, most, budget = min(map(_price, offers)), self.ceiling, self.unpaid.budget
        signed = 0 if budget is None else budget.signed(but=self.attempt.id)
        if budget is not None and signed + amount > budget.limit:
            also = amount > most
            raise errors.over_budget(amount, budget=budget.limit, signed=signed, also_max=also, earlier=earlier)
        if amount > most:
            raise errors.exceeds(amount, most, earlier=earlier)
        bound = most if budget is None else min(most, budget.limit - signed)
        return [offer for offer in offers if _price(offer) <= bound]

    def _fit_for_this_machine(self, offers: list[Requirement]) -> list[Requirement]:
        """Who listens on this machine gets test money only; the local gateway only by its own settlement."""
        if not (self.on_this_machine or self.unpaid.response.extensions.get(transport.NEAR)):
            return offers
        target = self.profile.target
        strict = target.is_saved_core and same_origin(str(self.unpaid.request.url), target.api_base)
        fit = [offer for offer in offers if (offer.settles_locally if strict else offer.network == x402.TESTNET)]
        if not fit and strict:
            raise ChallengeError("the local gateway is paid by its local settlement on Base Sepolia only")
        if not fit:
            raise ChallengeError("what listens on this machine is paid on Base Sepolia only, never on a mainnet")
        return fit

    def _within_payment_limit(self, offers: list[Requirement]) -> list[Requirement]:
        limits = load_limits(self.payer)
        limit = DEFAULT_PER_PAYMENT if limits.per_payment is None else limits.per_payment
        within = [offer for offer in offers if _price(offer) <= limit]
        if within:
            return within
        amount = min(map(_price, offers))
        if limits.per_payment is None:
            raised = ["--per-payment-usd", usd(amount)]
            if limits.per_day is None and amount > DEFAULT_PER_DAY:
                raised += ["--per-day-usd", usd(amount)]
            raise self.signing_failed(
                f"the price of {usd(amount)} USD is above the built-in limit of {usd(limit)} USD per payment",
                hint=f"To allow it: {advice.command('allowance', 'limits', 'set', *raised)}",
            )
        raise self._over("per_payment", limit, amount)

    def _over(
        self, kind: str, limit: int, amount: int, spent: int | None = None, *, default: bool = False
    ) -> PaymentError:
        return errors.over_limit(
            kind, limit=limit, amount=amount, spent=spent, default=default, details=self._details()
        )

    def affordable(self, offers: list[Requirement]) -> list[Requirement]:
        """The offers that the balance covers, direct authorizations only when there is one; the seller's order is kept."""
        # The embedded gateway settles on no chain, and must work without a network.
        local = [offer for offer in offers if offer.settles_locally] if self.on_this_machine else []
        covered = local or self._covered(offers)
        plain = [offer for offer in covered if offer.plain]
        return plain or covered

    @property
    def on_this_machine(self) -> bool:
        return is_loopback(self.unpaid.request.url.host)

    def _covered(self, offers: list[Requirement]) -> list[Requirement]:
        networks = list(dict.fromkeys(offer.network for offer in offers))
        with ThreadPoolExecutor(len(networks)) as pool:
            found = dict(zip(networks, pool.map(self._balance, networks), strict=True))
        balances = {network: amount for network, amount in found.items() if isinstance(amount, int)}
        covered = [offer for offer in offers if balances.get(offer.network, -1) >= _price(offer)]
        if covered:
            return covered
        for network, amount in found.items():
            if isinstance(amount, chain.Unreadable):
                raise self.rpc_failed(network, amount.attempts)
        wanted = [{"network": offer.network, "amount": str(offer.amount)} for offer in offers]
        raise self.insufficient_funds(balances, wanted)

    def _balance(self, network: str) -> int | chain.Unreadable:
        try:
            return chain.usdc_balance(self.http, network, x402.USDC[network], self.allowance.address)
        except chain.Unreadable as exc:
            return exc

    # -- signing --------------------------------------------------------------------------------------------------------

    def _reserve(self, challenge: Challenge, offers: list[Requirement]) -> Signed:
        """Count the payment against the day's limit, sign it, journal that it is being sent; one process at a time."""
        assert self.attempt is not None
        with self.journal.accounting():
            requirement = self._within_day(self._agreed(offers), load_limits(self.payer))
            authorization = x402.authorize(
                requirement,
                payer=self.allowance.address,
                version=challenge.version,
                now=int(time.time()),
                nonce="0x" + secrets.token_hex(32),
            )
            return self._signed(self.attempt, challenge, requirement, authorization)

    def _within_day(self, offers: list[Requirement], limits: Limits) -> Requirement:
        limit = DEFAULT_PER_DAY if limits.per_day is None else limits.per_day
        cheapest = min(map(_price, offers))
        spent = self._spent(at_most=limit - cheapest)
        for offer in offers:
            if spent + _price(offer) <= limit:
                return offer
        raise self._over("per_day", limit, cheapest, spent, default=limits.per_day is None)

    def _spent(self, *, at_most: int) -> int:
        """What counts as spent today. When it is more, the chain is asked what of it moved nothing and never will."""
        sent = self.journal.sent_last_day()
        spent = sum(attempt.amount for attempt in sent)
        for attempt in sent if at_most >= 0 else ():
            if spent <= at_most:
                break
            end = attempt.fields.get("valid_before")
            if attempt.unresolved and isinstance(end, int) and end < time.time():
                fate = self._fate(attempt)
                if fate is Fate.UNKNOWN:
                    break
                spent -= attempt.amount if fate is Fate.UNUSED else 0
        return spent

    def _signed(
        self,
        attempt: Attempt,
        challenge: Challenge,
        requirement: Requirement,
        authorization: Authorization,
        **more: Any,
    ) -> Signed:
        if self.unpaid.budget is not None and attempt.state != "completed":
            self.unpaid.budget.count(attempt.id, authorization.value)
        signature = x402.sign(self.allowance.private_key, requirement, authorization)
        header = x402.payment_header(challenge, requirement, authorization, signature)
        attempt.update(
            "submitting",
            "in_progress",
            provider_started_at=attempt.fields.get("provider_started_at") or now_iso(),
            x402_version=challenge.version,
            amount_usd_micros=authorization.value,
            network=requirement.network,
            asset=requirement.asset,
            token_name=requirement.extra["name"],
            token_version=requirement.extra["version"],
            payer=authorization.payer,
            pay_to=authorization.pay_to,
            valid_after=authorization.valid_after,
            valid_before=authorization.valid_before,
            nonce=authorization.nonce,
            **more,
        )
        return Signed(attempt, requirement, header)

    # -- outcomes -------------------------------------------------------------------------------------------------------

    def conclude(self, signed: Signed, response: httpx.Response) -> None:
        """Journal the end. 2xx is success, whatever the receipt says; anything else leaves the outcome open."""
        if response.is_success:
            receipt = x402.parse_receipt(receipt_header(response))
            transaction = receipt.transaction if receipt is not None and receipt.success else None
            signed.attempt.note("completed", "completed", transaction=transaction or None)
            return
        self._lost(signed.attempt)
        error = self.ambiguous(f"the gateway answered HTTP {response.status_code} to it")
        error.details["upstream_code"] = body_code(response)
        raise error

    def _details(self) -> dict[str, Any]:
        return errors.attempt_details(self.attempt, self._about, self.phase)

    def signing_failed(self, reason: str, *, hint: str | None = None) -> PaymentError:
        return errors.signing_failed(reason, self._details(), hint=hint)

    def foreign(self, challenge_url: str | None) -> PaymentError:
        """The challenge asks money for something else than what was called."""
        urls = {"challenge_url": challenge_url, "request_url": str(self.unpaid.request.url)}
        return errors.signing_failed(errors.FOREIGN, {**self._details(), **urls})

    def journal_failed(self, cause: Exception) -> PaymentError:
        return errors.journal_failed(str(cause), self._details())

    def insufficient_funds(self, balances: Mapping[str, int], wanted: Sequence[Mapping[str, Any]]) -> PaymentError:
        return errors.insufficient_funds(balances, wanted, self.allowance.address)

    def rpc_failed(self, network: str, attempts: Sequence[Mapping[str, Any]]) -> PaymentError:
        return errors.rpc_failed(network, attempts)

    def ambiguous(self, reason: str) -> PaymentError:
        return errors.ambiguous(reason, self._details())

    def lost(self, exc: Exception) -> PaymentError:
        """The error of a paid request that got no answer. httpx's text is not used: it may repeat a header."""
        return self.ambiguous(f"the connection failed after the payment was sent ({type(exc).__name__})")


def settle(payment: Payment) -> httpx.Response:
    """Send the unpaid request once more, paid; redirects are not followed. Returns the answer, read. Raises PaymentError."""
    unpaid = payment.unpaid.request
    request = httpx.Request(
        unpaid.method, unpaid.url, headers=unpaid.headers, stream=unpaid.stream, extensions=dict(unpaid.extensions)
    )
    try:
        return payment.http.send(request, auth=payment, follow_redirects=False, stream=True)
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as exc:
        raise payment.lost(exc) from None


def receipt_header(response: httpx.Response) -> str | None:
    value = response.headers.get("payment-response") or response.headers.get("x-payment-response")
    return str(value) if value else None


def body_fields(response: httpx.Response) -> dict[str, Any]:
    try:
        fields = response.json()
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def body_code(response: httpx.Response) -> str | None:
    code = body_fields(response).get("code")
    return code if isinstance(code, str) else None


def _about(unpaid: Unpaid, allowance: Allowance) -> dict[str, Any]:
    """What the journal says of the request: no header, body, query string or key, only digests."""
    request = unpaid.request
    url = str(request.url)
    key = request.headers.get("idempotency-key")
    parts = urlsplit(url)
    about = {
        "method": request.method,
        "origin": f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}",
        "path_sha256": hashlib.sha256(parts.path.encode()).hexdigest(),
        "host": parts.hostname,
        "purpose": unpaid.purpose,
        "payer": allowance.address,
        "intent_sha256": intent_sha256(allowance.address.lower(), request.method, url, key or "", request.read()),
    }
    if key is not None:
        about["caller_key_sha256"] = hashlib.sha256(key.encode()).hexdigest()
    return about


def _price(offer: Requirement) -> int:
    assert offer.amount is not None
    return offer.amount


def _listed(networks: Sequence[str]) -> str:
    return ", ".join(networks[:5]) or "none"


def _authorization(fields: Mapping[str, Any]) -> Authorization:
    return Authorization(
        str(fields["payer"]),
        str(fields["pay_to"]),
        int(fields["amount_usd_micros"]),
        int(fields["valid_after"]),
        int(fields["valid_before"]),
        str(fields["nonce"]),
    )


def _same_terms(challenge: Challenge, fields: Mapping[str, Any]) -> Requirement | None:
    """The offer that an earlier authorization was made for; None when the seller no longer makes it."""
    if challenge.version != fields["x402_version"]:
        return None
    for offer in challenge.requirements:
        terms = (offer.network, offer.asset.lower(), offer.amount, offer.pay_to.lower())
        token = (offer.extra.get("name"), offer.extra.get("version"))
        if (
            offer.is_base
            and terms
            == (fields["network"], fields["asset"].lower(), fields["amount_usd_micros"], fields["pay_to"].lower())
            and token == (fields["token_name"], fields["token_version"])
        ):
            return offer
    return None
