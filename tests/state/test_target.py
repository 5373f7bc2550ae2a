"""Which gateway requests go to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run402_cli.errors import EnvironmentFault
from run402_cli.state.target import checked_base, load_target, resolve_target, save_target

CLOUD = "https://api.run402.com"
CORE = "http://127.0.0.1:4020"


def test_cloud_by_default(config_dir: Path) -> None:
    target = resolve_target(config_dir)
    assert (target.api_base, target.source, target.is_core, target.effective_kind) == (CLOUD, "default", False, "cloud")


def test_a_saved_target_is_used_without_its_trailing_slash(config_dir: Path) -> None:
    save_target(config_dir, api_base=CORE + "/", kind="core", health={"health_status": "healthy"})
    target = resolve_target(config_dir)
    assert (target.api_base, target.source, target.effective_kind) == (CORE, "profile", "core")
    assert json.loads((config_dir / "target.json").read_bytes())["health_status"] == "healthy"


def test_the_environment_wins(config_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_target(config_dir, api_base=CORE, kind="core", health={})
    monkeypatch.setenv("RUN402_API_BASE", "https://other.example/")
    target = resolve_target(config_dir)
    assert (target.api_base, target.source, target.is_core) == ("https://other.example", "env", False)


@pytest.mark.parametrize(
    ("base", "core"), [("http://10.0.0.1", True), ("https://10.0.0.1", False), (CLOUD, False), (CORE, True)]
)
def test_kind_of_an_address_from_the_environment(
    config_dir: Path, monkeypatch: pytest.MonkeyPatch, base: str, core: bool
) -> None:
    monkeypatch.setenv("RUN402_API_BASE", base)
    assert resolve_target(config_dir).is_core is core


def test_an_empty_variable_counts_as_unset_and_says_where_requests_go(
    config_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RUN402_API_BASE", " ")
    target = resolve_target(config_dir)
    assert (target.api_base, target.source) == (CLOUD, "default")
    assert json.loads(capsys.readouterr().err)["variable"] == "RUN402_API_BASE"
    save_target(config_dir, api_base=CORE, kind="core", health={})
    target = resolve_target(config_dir)
    assert (target.api_base, target.source, target.is_core) == (CORE, "profile", True)
    event = json.loads(capsys.readouterr().err)
    assert (event["type"], event["api_base"], event["api_base_source"]) == ("warning", CORE, "profile")
    assert CORE in event["message"]


@pytest.mark.parametrize("base", ["not a url", "ftp://x", "http://", "//x", "http://x:99999", "http://[::1", "x.com"])
def test_what_is_no_http_address_is_refused(base: str) -> None:
    with pytest.raises(EnvironmentFault) as caught:
        checked_base(base, "RUN402_API_BASE")
    assert "RUN402_API_BASE" in caught.value.message


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_a_clear_error(text: str) -> None:
    try:
        base = checked_base(text, "X")
    except EnvironmentFault:
        return
    assert base.lower().startswith(("http://", "https://"))
    assert not base.endswith("/")


@pytest.mark.parametrize(
    "content",
    [
        "oops",
        "[1]",
        '{"api_base": 7}',
        '{"api_base": "http://x", "target_kind": "moon"}',
        '{"api_base":"http://x","updated_at":1}',
    ],
)
def test_a_malformed_file_is_an_error_unless_the_environment_decides(
    config_dir: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    path = config_dir / "target.json"
    path.write_text(content)
    for act in (resolve_target, load_target, lambda folder: save_target(folder, api_base=CORE, kind="core", health={})):
        with pytest.raises(EnvironmentFault) as caught:
            act(config_dir)
        assert str(path) in caught.value.message
    assert path.read_text() == content
    monkeypatch.setenv("RUN402_API_BASE", CORE)
    assert resolve_target(config_dir).api_base == CORE
    monkeypatch.setenv("RUN402_API_BASE", "")
    with pytest.raises(EnvironmentFault):
        resolve_target(config_dir)


def test_what_others_keep_in_the_file_survives(config_dir: Path) -> None:
    (config_dir / "target.json").write_text(json.dumps({"api_base": CLOUD, "health_error": "x", "later": 1}))
    save_target(config_dir, api_base=CORE, kind="core", health={"health_status": "ok"})
    stored = json.loads((config_dir / "target.json").read_bytes())
    assert stored["later"] == 1
    assert "health_error" not in stored


def test_a_stored_address_that_is_none_is_an_error(config_dir: Path) -> None:
    (config_dir / "target.json").write_text('{"api_base": "gopher://x"}')
    with pytest.raises(EnvironmentFault):
        resolve_target(config_dir)
