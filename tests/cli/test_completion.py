"""The completion scripts know the real commands, options and names, and their shells accept them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from agentgym_hindsight.cli import COMMANDS, full_parser, main
from agentgym_hindsight.cli.completion_words import command_words

#: Options whose value is any text or number: there is nothing to complete.
FREE = {
    "--split", "--set", "--seed", "--seeds", "--tasks", "--updates", "--task", "--siblings", "--num-envs", "--workers",
    "--what", "--who", "--tokens", "--how", "--when", "--history", "--temperature", "--max-prompt-tokens", "--title",
    "--max-new-tokens", "--turns", "--jobs", "--games", "--products", "--episodes", "--worlds", "--minutes", "--fuzz",
    "--warm-tasks", "--repeats", "--endpoint", "--generated", "--nouns", "--host", "--port", "--sessions", "--threads",
    "--allow-host", "--moments", "--continuations", "--judge", "--reference", "--width", "--plus",
    "--trials", "--analyser", "--openenv", "--most", "--template", "--system", "--engine", "--extra-body", "--decoding",
    "--version", "--answer-tokens",
}  # fmt: skip


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


def test_every_option_completes_something_or_is_free() -> None:
    unknown = {
        flag
        for command in command_words(full_parser()[0]).all
        for flag, value in command.options.items()
        if value is not None and not value.words and not value.files and flag not in FREE
    }
    assert not unknown, "add words, a type such as path or source, or the option to FREE"


def test_the_words_are_those_of_the_parsers() -> None:
    words = {" ".join(command.path): command for command in command_words(full_parser()[0]).all}
    assert [command.path[0] for command in words[""].below] == list(COMMANDS)
    assert {"alfworld", "WebShop-Hindsight-v0"} <= set(words["rollout"].options["--env"].words)  # type: ignore[union-attr]
    assert words["rollout"].options["--fresh"] is None
    assert words["data panel"].options["--out"].files  # type: ignore[union-attr]
    assert words["bench"].arguments.words[0] == "alfworld"
    if "train" in {command.path[0] for command in words[""].below if command.options}:
        assert "serl" in words["train"].arguments.words
        assert "serl_alfworld_7b" in words["train"].options["--config"].words  # type: ignore[union-attr]


def test_without_the_extra_the_other_commands_are_complete(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("agentgym_hindsight.baselines.requirements.find_spec", lambda _: None)
    assert main(["completion", "bash"]) == 0
    printed = capsys.readouterr()
    assert "train, compare" in printed.err
    assert "--siblings" in printed.out
    assert "train" in printed.out


CASES = [
    ("agh l", {"list"}),
    ("agh rollout --sib", {"--siblings"}),
    ("agh rollout --env appw", {"appworld"}),
    ("agh rollout --env We", {"WebShop-Hindsight-v0"}),
    ("agh data pa", {"panel"}),
    ("agh data panel --fr", {"--fresh"}),
    ("agh bench webshop-", {"webshop-search"}),
    ("agh completion f", {"fish"}),
    ("agh eval --protocol verl", {"verl-agent-2025"}),
    ("agh eval --policy seek", {"seeking-expert"}),
    ("agh data panel --out note", {"notes.txt"}),
    ("agh list --p", {"--plain"}),
    ("agh data list --p", set()),
]


@pytest.mark.parametrize(("line", "expected"), CASES, ids=lambda case: case if isinstance(case, str) else "")
def test_bash(line: str, expected: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    (tmp_path / "notes.txt").touch()
    (tmp_path / "agh.bash").write_text(script("bash", capsys))
    code = """
source agh.bash
complete -p agh > /dev/null || exit 1
COMP_LINE="$1" COMP_POINT=${#1} COMP_WORDS=($1) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_agh agh "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""
    done = subprocess.run(
        ["bash", "--norc", "-u", "-c", code, "bash", line], capture_output=True, text=True, cwd=tmp_path, timeout=30
    )
    assert done.stderr == ""
    assert done.returncode == 0
    assert set(done.stdout.split()) == expected


def test_bash_replaces_only_what_follows_a_colon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    pytest.importorskip("torch", reason="needs the extra [train]")
    (tmp_path / "agh.bash").write_text(script("bash", capsys))
    code = (
        'source agh.bash; COMP_LINE="agh train --model tiny:"; COMP_POINT=${#COMP_LINE}; _agh; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "--norc", "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=30)
    assert done.stdout.split() == ["S", "M", "L"]


@pytest.mark.parametrize(("line", "expected"), CASES, ids=lambda case: case if isinstance(case, str) else "")
def test_fish(line: str, expected: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    (tmp_path / "notes.txt").touch()
    (tmp_path / "agh.fish").write_text(script("fish", capsys))
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source agh.fish; complete -C'{line}'"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=30,
    )
    assert done.stderr == ""
    found = {each.split("\t")[0] for each in done.stdout.splitlines()}
    # fish ignores case and also offers words that contain the typed text.
    begins = {word for word in found if word.startswith(line.split()[-1])}
    assert begins == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_accepts_the_script(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    path = tmp_path / "script"
    path.write_text(script(shell, capsys))
    done = subprocess.run([shell, "-n", str(path)], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_zsh_completes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A zsh in a pseudo-terminal gets a line and Tab; a key then writes the line to a file."""
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    (tmp_path / "agh.zsh").write_text(script("zsh", capsys))
    lines = ["agh roll", "agh rollout --env appw", "agh data pan", "agh rollout --sib"]
    typed = "\n".join(f"type_line {line!r}" for line in lines)
    (tmp_path / "start.zsh").write_text(
        """
autoload -U compinit; compinit -u -D; source agh.zsh
keep() { print -r -- "$BUFFER" >> kept; BUFFER="" }
zle -N keep; bindkey "^X" keep
touch ready kept
"""
    )
    (tmp_path / "drive.zsh").write_text(
        f"""
zmodload zsh/zpty
touch kept
zpty z zsh -f -i
zpty -w z 'source start.zsh'
for try in {{1..400}}; do [[ -e ready ]] && break; sleep 0.05; done
type_line() {{
  local before=$(wc -l < kept)
  zpty -w -n z "$1"$'\\t'
  sleep 0.7
  zpty -w -n z $'\\x18'
  for try in {{1..400}}; do [[ $(wc -l < kept) -gt $before ]] && break; sleep 0.05; done
}}
{typed}
zpty -d z
"""
    )
    done = subprocess.run(["zsh", "-f", "drive.zsh"], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    kept = (tmp_path / "kept").read_text().splitlines() if (tmp_path / "kept").exists() else []
    assert [line.rstrip() for line in kept] == [
        "agh rollout", "agh rollout --env appworld", "agh data panel", "agh rollout --siblings",
    ], done.stderr  # fmt: skip
