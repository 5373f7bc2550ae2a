"""The active-project pointers of state.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from run402_cli.errors import EnvironmentFault
from run402_cli.state.profile import Profile, Selection

ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
BASE = "http://127.0.0.1:4020"


@pytest.fixture
def home(config_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    monkeypatch.setenv("RUN402_API_BASE", BASE)
    return Profile(Selection("default", "default", None))


def scope(principal: str, base: str = BASE) -> str:
    return json.dumps({"api_base": base, "profile": "default", "principal": principal}, separators=(",", ":"))


def entry(project_id: str, **more: str) -> dict[str, object]:
    return {"project_id": project_id, "api_base": BASE, "principal": None, "profile": "default", **more}


def write(home: Profile, state: object) -> None:
    home.active.path.write_text(json.dumps(state))


def read(home: Profile) -> dict[str, object]:
    value = json.loads(home.active.path.read_bytes())
    assert isinstance(value, dict)
    return value


def add_wallet(home: Profile) -> None:
    (home.dir / "allowance.json").write_text(json.dumps({"address": ADDRESS, "privateKey": "0x" + "1" * 64}))


def test_nothing_is_active_without_a_file(home: Profile) -> None:
    assert home.active.get() is None


def test_entry_of_the_address_beats_unknown_beats_the_top_level(home: Profile) -> None:
    add_wallet(home)
    state = {"active_project_id": "prj_top", "active_projects": {scope(ADDRESS): entry("prj_mine")}}
    write(home, state)
    assert home.active.get() == "prj_mine"
    write(home, {**state, "active_projects": {scope("unknown"): entry("prj_unknown")}})
    assert home.active.get() == "prj_unknown"
    write(home, {**state, "active_projects": {scope(ADDRESS, "https://api.run402.com"): entry("prj_cloud")}})
    assert home.active.get() == "prj_top"


def test_set_keeps_the_previous_project_and_both_pointers(home: Profile) -> None:
    assert home.active.set("prj_1") is None
    assert home.active.set("prj_1") is None
    assert home.active.set("prj_2") == "prj_1"
    state = read(home)
    assert state["version"] == 1
    assert state["active_project_id"] == "prj_2"
    assert state["previous_active_project_id"] == "prj_1"
    scoped = state["active_projects"]
    assert isinstance(scoped, dict)
    stored = scoped[scope("unknown")]
    assert stored["project_id"] == "prj_2"
    assert stored["previous_project_id"] == "prj_1"
    assert stored["principal"] is None
    assert stored["updated_at"].endswith("Z")


def test_set_keeps_keys_that_it_does_not_know(home: Profile) -> None:
    write(home, {"migrations": {"m": 1}, "later": True})
    home.active.set("prj_1")
    assert read(home)["migrations"] == {"m": 1}
    assert read(home)["later"] is True


def test_clear_falls_back_to_the_previous_project(home: Profile) -> None:
    home.active.set("prj_1")
    home.active.set("prj_2")
    home.active.clear("prj_2")
    assert home.active.get() == "prj_1"
    assert "previous_active_project_id" not in read(home)


def test_clear_of_the_only_project_leaves_none(home: Profile) -> None:
    home.active.set("prj_1")
    home.active.clear("prj_1")
    assert home.active.get() is None
    assert read(home)["active_projects"] == {}


def test_a_deleted_project_never_comes_back_as_the_fallback(home: Profile) -> None:
    home.active.set("prj_1")
    home.active.set("prj_2")
    home.active.clear("prj_1")
    home.active.clear("prj_2")
    assert home.active.get() is None


def test_clear_of_another_project_writes_nothing(home: Profile) -> None:
    home.active.set("prj_1")
    before = home.active.path.stat().st_mtime_ns
    home.active.clear("prj_other")
    assert home.active.path.stat().st_mtime_ns == before


@pytest.mark.parametrize("content", ["oops", "[1]", '"x"', "null", "{", "\x00\xff"])
def test_a_damaged_file_is_an_error_and_is_never_overwritten(home: Profile, content: str) -> None:
    home.active.path.write_text(content)
    for act in (home.active.get, home.active.ensure_writable, lambda: home.active.set("prj_1")):
        with pytest.raises(EnvironmentFault) as caught:
            act()
        assert str(home.active.path) in caught.value.message
    assert home.active.path.read_text() == content


@pytest.mark.parametrize("scoped", [[1], {"x": 1}, {scope("unknown"): "prj_1"}, {scope("unknown"): {"project_id": 7}}])
def test_entries_of_another_shape_are_damage(home: Profile, scoped: object) -> None:
    write(home, {"active_project_id": "prj_top", "active_projects": scoped})
    with pytest.raises(EnvironmentFault):
        home.active.get()
    with pytest.raises(EnvironmentFault):
        home.active.set("prj_new")


def test_fields_of_others_survive_in_an_entry_that_is_set_again(home: Profile) -> None:
    write(home, {"active_projects": {scope("unknown"): entry("prj_1", later="x")}})
    home.active.set("prj_2")
    scoped = read(home)["active_projects"]
    assert isinstance(scoped, dict)
    assert scoped[scope("unknown")]["later"] == "x"
    assert scoped[scope("unknown")]["project_id"] == "prj_2"


STEPS = st.lists(
    st.tuples(st.sampled_from(["set", "clear"]), st.sampled_from(["prj_a", "prj_b", "prj_c"])), max_size=12
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_a_cleared_project_is_active_again_only_after_it_is_set_again(
    home: Profile, steps: list[tuple[str, str]]
) -> None:
    home.active.path.unlink(missing_ok=True)
    deleted: set[str] = set()
    for step, project in steps:
        if step == "set":
            home.active.set(project)
            deleted.discard(project)
            assert home.active.get() == project
        else:
            home.active.clear(project)
            deleted.add(project)
            assert home.active.get() not in deleted
