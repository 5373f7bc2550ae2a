"""Shell completion: what is offered at each place, from local files only; and the scripts in real shells."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from run402_cli.completion import DIRS, FILES, OPTIONS_FILE, candidates, own_flags
from run402_cli.main import _guarded
from run402_cli.registry import GROUPS


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN402_CONFIG_DIR", str(tmp_path))
    folder = tmp_path / "profiles" / "ci" / "credentials"
    folder.mkdir(parents=True)
    store = {"version": 1, "projects": {"prj_abc": {"anon_key": "a"}}}
    (folder / "project-keys.v1.json").write_text(json.dumps(store))


@pytest.mark.parametrize("name", GROUPS)
def test_every_flag_of_every_spelling_of_a_command_is_in_the_packaged_data(name: str) -> None:
    group = GROUPS[name]
    app = importlib.import_module(f"run402_cli.commands.{group.module}").app
    known = [info.name for info in app.registered_commands]
    for path in (name, *group.commands, *group.words, *group.aliases):
        command = app.find(path) if path in known else None
        flags = {
            flag: not option.is_flag
            for option in (command.params if command else ())
            if option.param_type_name == "option"
            for flag in (*option.opts, *option.secondary_opts)
        }
        assert own_flags(name if path == name else f"{name} {path}") == flags


def test_a_flag_that_no_help_shows_is_known_and_not_offered(keys: None) -> None:
    assert own_flags("org members add")["--role"] is True
    assert own_flags("snapshots delete")["--include-auth"] is False
    assert "--include-auth" not in offered("snapshots", "delete", "--")


def offered(*words: str) -> list[str]:
    return [line.split("\t")[0] for line in candidates(list(words))]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["proj"], ["projects"]),
        (["projects", "sq"], ["sql"]),
        (["deploy", "release", ""], ["active", "diff", "get"]),
        (["projects", "sql", "--fi"], ["--fields", "--file"]),
        (["--wallet", "x", "stat"], ["status"]),
        (["--format", "text", "projects", "sq"], ["sql"]),
        (["up", "ver"], [DIRS, "verify"]),
        (["nonsense", ""], []),
        # Values, and nothing else, after a flag that takes one.
        (["--format", ""], ["csv", "json", "jsonl", "text"]),
        (["projects", "sql", "--format=t"], ["--format=text"]),
        (["projects", "sql", "--format", "=", "t"], ["text"]),  # as bash splits it
        (["projects", "sql", "--format", "="], ["csv", "json", "jsonl", "text"]),
        (["up", "--tier", ""], ["hobby", "prototype", "team"]),
        (["deploy", "apply", "--manifest", ""], [FILES]),
        (["core", "start", "--data-dir", "/t"], [DIRS]),
        (["projects", "provision", "--name", ""], []),
        # In place of an argument: its values.
        (["completion", ""], ["bash", "fish", "powershell", "zsh"]),
        (["completion", " "], ["bash", "fish", "powershell", "zsh"]),  # as PowerShell says "empty"
        (["completion", "zsh", "z"], []),
        (["archives", "verify", "a.r4"], [FILES]),
        (["archives", "verify", "--", "-"], [FILES]),
        (["projects", "sql", "--file", "x", "--", "--fi"], []),
    ],
)
def test_candidates_fit_the_place(words: list[str], expected: list[str], keys: None) -> None:
    assert offered(*words) == expected


def test_project_ids_and_wallets_come_from_the_local_files(keys: None) -> None:
    assert offered("projects", "get", "--project", "") == ["prj_abc"]
    assert offered("projects", "use", "") == ["prj_abc"]
    assert offered("projects", "get", "prj_") == ["prj_abc"]
    assert offered("status", "--wallet", "") == ["ci", "default"]
    assert offered("wallets", "use", "") == ["ci", "default"]


HOSTILE = [
    "prj_$(touch${IFS}pwned)",
    "prj_`touch pwned`",
    "prj;touch",
    "a b",
    "*",
    "prj_a\n:files",
    "-x",
    "--jq=env",
    "~",
    "",
]


def test_what_a_shell_would_run_is_offered_to_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such ids may be in the files of an older version, and a directory may have any name."""
    monkeypatch.setenv("RUN402_CONFIG_DIR", str(tmp_path))
    (tmp_path / "credentials").mkdir()
    store = {"version": 1, "projects": {name: {} for name in (*HOSTILE, "prj_abc", "old.id-1")}}
    (tmp_path / "credentials" / "project-keys.v1.json").write_text(json.dumps(store))
    for name in ("$(touch pwned)", "a b", "ci"):
        (tmp_path / "profiles" / name).mkdir(parents=True)
    assert offered("projects", "use", "") == ["old.id-1", "prj_abc"]
    assert offered("projects", "sql", "--project=") == ["--project=old.id-1", "--project=prj_abc"]
    assert offered("wallets", "use", "") == ["ci", "default"]


def test_every_candidate_says_what_it_is() -> None:
    for words in ([""], ["projects", ""], ["projects", "sql", "--"]):
        assert all("\t" in line for line in candidates(words)), words


def test_damaged_files_complete_to_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN402_CONFIG_DIR", str(tmp_path))
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "project-keys.v1.json").write_bytes(b"\xff{")
    assert candidates(["projects", "get", "--project", ""]) == []


def test_every_flag_with_known_values_offers_them() -> None:
    known = json.loads(OPTIONS_FILE.read_bytes())
    listed = [(name, flag, spec[0]) for name, entry in known.items() for flag, spec in entry["flags"].items()]
    chosen = [row for row in listed if isinstance(row[2], list)]
    assert len(chosen) > 30
    for name, flag, values in chosen:
        assert offered(*name.split(), flag, "") == sorted(map(str, values)), (name, flag)


def test_completion_imports_no_third_party_code_and_no_command() -> None:
    code = (
        "import sys; from run402_cli.main import main; main(['__complete', 'projects', 'sql', '--f']);"
        "bad = [m for m in sys.modules if m.split('.')[0] in ('typer', 'click', 'httpx', 'pydantic')"
        " or m.startswith('run402_cli.commands')]; sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--file" in done.stdout.split()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_the_script_of_each_shell_calls_back(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _guarded(["completion", shell]) == 0
    assert "run402 __complete" in capsys.readouterr().out


class Shell:
    """A real shell with `run402` on its PATH and a folder to work in."""

    def __init__(self, name: str, folder: Path) -> None:
        path = shutil.which(name)
        if path is None:
            pytest.skip(f"{name} is not installed")
        self.path, self.folder = path, folder
        program = folder / "bin" / "run402"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m run402_cli "$@"\n')
        program.chmod(0o755)
        self.env = {**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder)}
        self.work = folder / "work"
        (self.work / "pages").mkdir(parents=True)
        (self.work / "page.sql").touch()
        self.script = self._run([str(program), "completion", name])

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(
            command, cwd=self.work, env=self.env, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def __call__(self, code: str, *options: str) -> str:
        return self._run([self.path, *options, "-c", code])


BASH = [
    (["projects", "sq"], ["sql"]),
    (["--format", "=", "te"], ["text"]),
    (["up", "--tier", ""], ["hobby", "prototype", "team"]),
    (["projects", "sql", "--file", "pa"], ["page.sql", "pages"]),
    (["core", "start", "--data-dir", "pa"], ["pages"]),
    (["projects", "provision", "--name", ""], []),
]


def test_bash_completes_through_the_script(tmp_path: Path) -> None:
    shell = Shell("bash", tmp_path)
    for words, expected in BASH:
        listed = " ".join(f"'{word}'" for word in ["run402", *words])
        out = shell(
            f"{shell.script}\nCOMP_WORDS=({listed}); COMP_CWORD={len(words)}; _run402; "
            'printf "%s\\n" "${COMPREPLY[@]}"',
            "--norc",
        )
        assert sorted(out.split()) == expected, words


def test_bash_inserts_words_and_not_code(tmp_path: Path) -> None:
    """Whatever the program offers, and whatever files are called, is quoted; where bash quotes file names, by bash."""
    shell = Shell("bash", tmp_path)
    words = ["$(touch pwned)", "`touch pwned`", "a b", "*", "x;touch pwned", "plain"]
    offers = tmp_path / "offers"
    offers.write_text("".join(f"{word}\tmeaning\n" for word in words))
    (tmp_path / "bin" / "run402").write_text(f'#!/bin/sh\ncat "{offers}"\n')
    insert = "COMP_WORDS=(run402 ''); COMP_CWORD=1; _run402; eval \"set -- ${COMPREPLY[*]}\"; printf '%s\\n' \"$@\""
    assert shell(f"{shell.script}\n{insert}", "--norc").splitlines() == words
    offers.write_text(":files\n")
    (shell.work / "$(touch pwned)").touch()
    assert "$(touch pwned)" in shell(f"{shell.script}\n{insert}", "--norc").splitlines()
    assert not (shell.work / "pwned").exists()


def test_zsh_completes_at_the_first_tab_of_a_session(tmp_path: Path) -> None:
    """The file lies in fpath as the help says; a real interactive zsh gets one Tab."""
    shell = Shell("zsh", tmp_path)
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "_run402").write_text(shell.script)
    code = f"""
zmodload zsh/zpty
zpty first 'zsh -f -i'
zpty -w first 'PS1="> "; fpath=({tmp_path}/functions $fpath); autoload -U compinit; compinit -u; print READY'
text=''
until [[ "$text" == *READY*READY* ]]; do zpty -r first line; text+="$line"; done
zpty -w -n first $'run402 projects provi\\t'
text=''
repeat 200; do zpty -r -t first line && text+="$line"; [[ "$text" == *provision* ]] && break; sleep 0.05; done
print -r -- "$text"
zpty -d first
"""
    assert "provision" in shell(code, "-f")


def test_fish_shows_descriptions_and_files(tmp_path: Path) -> None:
    shell = Shell("fish", tmp_path)
    script = tmp_path / "run402.fish"
    script.write_text(shell.script)

    def lines(typed: str) -> list[str]:
        return shell(f"source {script}; complete -C '{typed}'", "--no-config").splitlines()

    assert lines("run402 projects sq") == ["sql\tRun SQL with the service key."]
    assert lines("run402 up --tier ") == ["hobby", "prototype", "team"]
    assert [line.split("\t")[0] for line in lines("run402 projects sql --file pa")] == ["page.sql", "pages/"]


def test_an_unknown_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert _guarded(["completion", "tcsh"]) == 1
    assert json.loads(capsys.readouterr().err)["code"] == "BAD_FLAG"
