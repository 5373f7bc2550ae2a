"""The delegation document, byte for byte."""

from __future__ import annotations

import pytest

from run402_cli.release.ci_delegation import InvalidDelegation, asset_covers, covers, delegation, normalize_scopes

NONCE = "00112233445566778899aabbccddeeff"
PLAIN_URI = (
    "run402-ci-delegation:v1?project_id=prj_abc&issuer=https%3A%2F%2Ftoken.actions.githubusercontent.com"
    "&audience=https%3A%2F%2Fapi.run402.com&subject_match=repo%3Atal%2Fmyapp%3Aref%3Arefs%2Fheads%2Fmain"
    "&allowed_actions=deploy&allowed_events=push,workflow_dispatch&github_repository_id=892341"
    "&nonce=00112233445566778899aabbccddeeff"
)
FULL_URI = (
    "run402-ci-delegation:v1?project_id=prj_abc&issuer=https%3A%2F%2Ftoken.actions.githubusercontent.com"
    "&audience=https%3A%2F%2Fapi.run402.com&subject_match=repo%3Atal%2Fmyapp%3Aenvironment%3Aprod%20%28x%29%21%27"
    "&allowed_actions=deploy&allowed_events=push,workflow_dispatch&route_scopes=%2FA%20b,%2Fa%2F*,%2Fb"
    "&expires_at=2027-01-01T00%3A00%3A00Z&github_repository_id=892341&nonce=00112233445566778899aabbccddeeff"
)


def test_uri_of_a_plain_delegation() -> None:
    made = delegation("prj_abc", "repo:tal/myapp:ref:refs/heads/main", nonce=NONCE, github_repository_id="892341")
    assert made.resource_uri() == PLAIN_URI


def test_uri_of_a_full_delegation() -> None:
    made = delegation(
        "prj_abc",
        "repo:tal/myapp:environment:prod (x)!'",
        nonce=NONCE,
        allowed_events=["workflow_dispatch", "push", "push"],
        route_scopes=["/b", "/a/*", "/A b"],
        expires_at="2027-01-01T00:00:00Z",
        github_repository_id="892341",
    )
    assert made.route_scopes == ("/A b", "/a/*", "/b")
    assert made.resource_uri() == FULL_URI


def test_statement_with_scopes_says_so_in_three_places() -> None:
    plain = delegation("p", "s", nonce=NONCE).statement().split("\n")
    scoped = delegation("p", "s", nonce=NONCE, route_scopes=["/x", "/a/*"]).statement().split("\n")
    assert [line for line in scoped if line not in plain] == [
        "  - deploy route declarations only within these public path scopes: /a/*,/x.",
        "The workflows cannot directly call secrets, domain, subdomain, lifecycle, billing, contracts, or faucet "
        "endpoints. They cannot ship spec.secrets, spec.subdomains, spec.checks, non-current spec.base, or route "
        "changes outside the delegated route scopes.",
        "Route scopes: /a/*,/x",
    ]
    assert plain[-5:-1] == ["Repository ID: none-soft-bound", "Expires: never", f"Nonce: {NONCE}", ""]
    assert len(scoped) == len(plain) + 2
    assert plain[-1].startswith("Revoke at any time")


@pytest.mark.parametrize("scopes", [["/x", "/x/*"], ["/"], ["/a%20b"], ["/é"], ["/" + "a" * 255], ["/a", "/A"]])
def test_accepted_scopes(scopes: list[str]) -> None:
    assert set(normalize_scopes(scopes)) == set(scopes)


@pytest.mark.parametrize(
    "scopes",
    [
        ["/x", "/x/"],
        ["/x", "/x"],
        ["/x/*", "/x/*"],
        ["/*"],
        ["/a*b"],
        ["/a*/*"],
        ["/*/a"],
        ["/%zz"],
        ["/%"],
        ["/%c3"],
        [""],
        ["x"],
        ["/x?y"],
        ["/x\ny"],
        ["/\ud800"],
        ["/" + "é" * 128],
        [f"/{n}" for n in range(101)],
    ],
)
def test_refused_scopes(scopes: list[str]) -> None:
    with pytest.raises(InvalidDelegation):
        normalize_scopes(scopes)


def test_scopes_are_sorted_by_utf16_code_unit() -> None:
    assert normalize_scopes(["/\uffee", "/\U0001f600", "/a"]) == ("/a", "/\U0001f600", "/\uffee")


@pytest.mark.parametrize("subject", ["", "*", "a*b", "a**", "a\nb", "a\x7f", "x" * 257])
def test_refused_subjects(subject: str) -> None:
    with pytest.raises(InvalidDelegation):
        delegation("p", subject, nonce=NONCE)


@pytest.mark.parametrize("nonce", ["", "0" * 15, "0" * 65, "A" * 16, "g" * 16])
def test_refused_nonces(nonce: str) -> None:
    with pytest.raises(InvalidDelegation):
        delegation("p", "s", nonce=nonce)


def test_a_delegation_that_grows_too_long_is_refused() -> None:
    with pytest.raises(InvalidDelegation, match="fewer route scopes"):
        delegation("p", "s", nonce=NONCE, route_scopes=[f"/{n}{'a' * 200}" for n in range(30)])


def test_a_subject_may_end_in_a_star() -> None:
    assert delegation("p", "repo:a/b:*", nonce=NONCE).subject_match == "repo:a/b:*"


def test_what_scopes_cover() -> None:
    assert covers("/admin", "/admin")
    assert covers("/admin", "/admin/")
    assert not covers("/admin", "/admin/*")
    assert covers("/api/*", "/api/*")
    assert covers("/api/*", "/api/v1/*")
    assert not covers("/api/*", "/api")
    assert not covers("/api/*", "/apix")
    assert asset_covers("img/*", "img/a.png")
    assert not asset_covers("img/*", "imgs/a.png")
    assert not asset_covers("img/a", "img/a.png")
