"""The completion scripts of bash, zsh and fish. They contain all words, so that completing starts no Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from shlex import quote

from agentgym_hindsight.cli.completion_words import CommandWords, Value

__all__ = ["SCRIPTS", "bash_script", "fish_script", "zsh_script"]

_HEAD = "# Completion of agh. Written by `agh completion {shell}`; run it again after an update.\n"


def bash_script(root: CommandWords) -> str:
    """The script for bash: a function that finds the command in the line, and its table of words."""
    cases = []
    for command in root.all:
        following = [*(each.path[-1] for each in command.below), *command.arguments.words]
        options = "\n".join(
            f"          {flag}) words={quote(' '.join(value.words))}; files={int(value.files)} ;;"
            for flag, value in command.options.items()
            if value is not None
        )
        choice = f'        case "$previous" in\n{options}\n          *) valued=0 ;;\n        esac' if options else ""
        cases.append(
            f"""      {quote(" ".join(command.path))})
        options={quote(" ".join(command.options))}
        arguments={quote(" ".join(following))}
        argument_files={int(command.arguments.files)}
{choice or "        valued=0"}
        ;;"""
        )
    paths = " ".join(quote(" ".join(command.path)) for command in root.all if command.path)
    newline = "\n"
    return f"""{_HEAD.format(shell="bash")}_agh() {{
  local current previous command candidate word words options arguments files argument_files valued index
  local -a known=({paths})
  # Bash splits words at ":" and "=", which names such as endpoint:URL contain. Join them again.
  local line="${{COMP_LINE:0:COMP_POINT}}"
  local -a typed
  read -r -a typed <<< "$line"
  [[ "$line" == *[[:space:]] ]] && typed+=("")
  current="${{typed[${{#typed[@]}}-1]}}"
  previous="${{typed[${{#typed[@]}}-2]}}"
  command=""
  for ((index = 1; index < ${{#typed[@]}} - 1; index++)); do
    word="${{typed[index]}}"
    [[ "$word" == -* ]] && break
    candidate="${{command:+$command }}$word"
    for word in "${{known[@]}}"; do
      [[ "$word" == "$candidate" ]] && command="$candidate" && break
    done
    [[ "$command" == "$candidate" ]] || break
  done
  words="" files=0 valued=1
  if [[ "$current" == --*=* ]]; then
    previous="${{current%%=*}}"
    current="${{current#*=}}"
  fi
  case "$command" in
{newline.join(cases)}
  esac
  if ((valued == 0)); then
    if [[ "$current" == -* ]]; then
      words="$options"
    else
      words="$arguments" files="$argument_files"
      [[ -z "$arguments" && "$files" == 0 ]] && words="$options"
    fi
  fi
  # Only the part after the last separator is replaced by bash.
  local whole="$current" kept=""
  if [[ "$COMP_WORDBREAKS" == *:* && "$whole" == *:* ]]; then
    kept="${{whole%"${{whole##*:}}"}}"
  fi
  COMPREPLY=()
  while IFS= read -r word; do
    [[ -n "$word" ]] && COMPREPLY+=("${{word#"$kept"}}")
  done < <(compgen -W "$words" -- "$whole")
  if ((files)); then
    compopt -o filenames 2> /dev/null
    while IFS= read -r word; do
      [[ -n "$word" ]] && COMPREPLY+=("$word")
    done < <(compgen -f -- "$whole")
  fi
}}
complete -F _agh agh agentgym-hindsight
"""


def zsh_script(root: CommandWords) -> str:
    """The script for zsh: one function for each command, with ``_arguments``."""
    functions = [_zsh_function(command) for command in root.all]
    return (
        f"#compdef agh agentgym-hindsight\n{_HEAD.format(shell='zsh')}"
        + "\n".join(functions)
        + '\nif [[ "$funcstack[1]" == "_agh" ]]; then\n  _agh "$@"\nelse\n'
        + "  compdef _agh agh agentgym-hindsight\nfi\n"
    )


def _zsh_name(path: tuple[str, ...]) -> str:
    return "_".join(("_agh", *path))


def _zsh_function(command: CommandWords) -> str:
    specifications = []
    for flag, value in command.options.items():
        meaning = command.meanings[flag].replace("'", "")
        argument = "" if value is None else f":{flag.lstrip('-')}:{_zsh_action(value)}"
        specifications.append(quote(f"*{flag}[{meaning}]{argument}"))
    name = _zsh_name(command.path)
    if not command.below:
        # An argument without words would make zsh list the options instead of inserting the one that fits.
        if command.arguments.words or command.arguments.files:
            specifications.append(quote(f"*:argument:{_zsh_action(command.arguments)}"))
        return f"{name}() {{\n  _arguments -s \\\n    {' '.join(specifications)}\n}}"
    described = " ".join(quote(f"{each.path[-1]}:{_plain(each.summary)}") for each in command.below)
    branches = "\n".join(f"        {each.path[-1]}) {_zsh_name(each.path)} ;;" for each in command.below)
    return f"""{name}() {{
  local -a commands=({described})
  local state line
  _arguments -C {" ".join(specifications)} '1:command:->command' '*::argument:->rest'
  case "$state" in
    command) _describe command commands ;;
    rest)
      case "${{line[1]}}" in
{branches}
      esac
      ;;
  esac
}}"""


def _zsh_action(value: Value) -> str:
    words = " ".join(word.replace(":", "\\:") for word in value.words)
    if value.files and words:
        return f"{{_alternative 'words\\:word\\:({words})' 'files\\:file\\:_files'}}"
    return "_files" if value.files else f"({words})" if words else " "


_FISH_FUNCTIONS = """\
function __agh_at --description 'the line is in this command'
  set -l typed (commandline -opc)
  set -e typed[1]
  set -l depth (count $argv)
  test (count $typed) -ge $depth; and test "$typed[1..$depth]" = "$argv"
end
function __agh_next --description 'the next word is a command below this one'
  set -l typed (commandline -opc)
  set -e typed[1]
  test "$typed" = "$argv"
end
"""


def fish_script(root: CommandWords) -> str:
    """The script for fish: one line for each word."""
    lines = []
    for program in ("agh", "agentgym-hindsight"):
        lines.append(f"complete -c {program} -f")
        for command in root.all:
            lines += [f"complete -c {program} {line}" for line in _fish_lines(command)]
    return _HEAD.format(shell="fish") + _FISH_FUNCTIONS + "\n".join(lines) + "\n"


def _fish_lines(command: CommandWords) -> list[str]:
    words = " ".join(("", *command.path))
    following = f"__agh_next{words}"
    inside = f"__agh_at{words}" if command.path else following
    lines = [f"-n {quote(following)} -a {each.path[-1]} -d {quote(_plain(each.summary))}" for each in command.below]
    if command.arguments.words:
        lines.append(f"-n {quote(inside)} -a {quote(' '.join(command.arguments.words))}")
    if command.arguments.files:
        lines.append(f"-n {quote(inside)} -F")
    for flag, value in command.options.items():
        kind = f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}"
        line = f"-n {quote(inside)} {kind} -d {quote(command.meanings[flag])}"
        if value is not None:
            line += " -r -F" if value.files else " -x"
            line += f" -a {quote(' '.join(value.words))}" if value.words else ""
        lines.append(line)
    return lines


def _plain(text: str) -> str:
    return "".join(character for character in text if character not in "'\"`[]:\\$%")


#: Shell → its script.
SCRIPTS: Mapping[str, Callable[[CommandWords], str]] = {"bash": bash_script, "zsh": zsh_script, "fish": fish_script}
