"""One rule for the paths of a release: what the client lets through a gateway takes, and the reverse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from run402_cli.core.releases.release_request import read_spec, release_failure
from run402_cli.release import content
from run402_cli.release.errors import ReleaseError
from run402_cli.release.spec import validate_spec
from run402_cli.release.wire import to_wire

REF = {"sha256": "a" * 64, "size": 1}
BAD = [
    *("", "/", "/a", "a/", "a//b", "//", ".", "..", "./a", "a/.", "a/./b", "a/../b", "../a"),
    *("a\\b", "a\0b", "a\nb", "\x1f", "a\x7f", "a\ud800", "\udfff/b"),
]
GOOD = [
    *("a", "index.html", "a/b.html", ".well-known/x", "...", "a/..b", "a b", " ", "~", "%2e%2e/a", "C:/a"),
    *("é/ü", "e\u0301", "日本語.html", "a\u0085b", "a\u2028b", "\U0001f600.png", "\ufeff", "?", "#", "run402/client/a"),
]
SEGMENTS = st.one_of(st.sampled_from(["", ".", "..", "a", "run402", "server", "é"]), st.text(max_size=4))
PATHS = st.one_of(
    st.text(max_size=12), st.lists(SEGMENTS, max_size=5).map("/".join), st.text("a./\\\0\x1f\ud800", max_size=6)
)
SECTIONS: list[Any] = [
    lambda path: {"site": {"replace": {path: REF}}},
    lambda path: {"site": {"patch": {"put": {path: REF}}}},
    lambda path: {"functions": {"replace": {"f": {"source": REF, "files": {path: REF}}}}},
    lambda path: {"functions": {"patch": {"set": {"f": {"source": REF, "files": {path: REF}}}}}},
]


def _client(sections: dict[str, Any]) -> ReleaseError | None:
    try:
        validate_spec({"project": "prj_1", **sections})
    except ReleaseError as error:
        return error
    return None


def _gateway(sections: dict[str, Any]) -> ReleaseError | None:
    try:
        read_spec({"project_id": "prj_1", **sections})
    except ReleaseError as error:
        return error
    return None


def _every_path(check: Any) -> Any:
    for path in [*BAD, *GOOD, "run402/adapter.json", "run402/server/entry.mjs"]:
        check = example(path)(check)
    return check


@pytest.mark.parametrize("sections", SECTIONS, ids=["replace", "put", "files", "patched-files"])
def test_both_doors_judge_every_path_alike(sections: Any) -> None:
    @_every_path
    @given(PATHS.filter(lambda path: path.split("/")[0] != "node_modules"))
    def judge(path: str) -> None:
        here, there = _client(sections(path)), _gateway(sections(path))
        assert (here is None) == (there is None), path
        if here is not None and there is not None:
            assert (here.code, here.resource, here.fix) == (there.code, there.resource, there.fix)
            assert (here.phase, there.phase) == ("validate", "plan")

    judge()


@pytest.mark.parametrize("sections", SECTIONS[:2], ids=["replace", "put"])
def test_the_refusal_says_the_path_and_what_is_wrong_with_it(sections: Any) -> None:
    for path in BAD:
        error = _client(sections(path))
        assert error is not None
        assert error.code == "INVALID_SPEC"
        assert f"The path {path!r} in site." in error.message
        assert error.message == str(_gateway(sections(path)))
    assert [path for path in GOOD if _client(sections(path))] == []


def test_a_path_that_a_gateway_would_refuse_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    absent = {"__source": "fs-file", "path": str(tmp_path / "absent")}
    for path in BAD:
        with pytest.raises(ReleaseError) as caught:
            to_wire({"project": "prj_1", "site": {"replace": {path: absent}}})
        assert caught.value.code == "INVALID_SPEC"


@pytest.mark.parametrize("prefix", ["a//b", "a/./b", ".", "a\n", "/a", "a//"])
def test_a_directory_under_such_a_prefix_is_not_hashed(
    prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "index.html").write_text("x")
    hashed: list[Any] = []
    monkeypatch.setattr(content, "hash_files", lambda paths, **_more: hashed.append(paths) or [])
    marker = {"__source": "local-dir", "path": str(tmp_path), "prefix": prefix}
    with pytest.raises(ReleaseError) as caught:
        to_wire({"project": "prj_1", "site": {"replace": marker}})
    assert (caught.value.code, hashed) == ("INVALID_SPEC", [])


def test_a_gateway_answers_400_for_each_of_the_codes() -> None:
    for path, code in (("a//b", "INVALID_SPEC"), ("run402/server/entry.mjs", "ASTRO_ADAPTER_TREE_IN_SITE")):
        error = _gateway({"site": {"replace": {path: REF}}})
        assert error is not None
        answer = release_failure(error, "cloud")
        assert (answer.status, answer.body()["code"]) == (400, code)
