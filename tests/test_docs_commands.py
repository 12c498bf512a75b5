"""Commands of "From the tiny policy to 7B" are parsed, and the settings of its training runs are built and checked.

Nothing is trained here: most of these runs need GPUs.
"""

from __future__ import annotations

import re
import shlex
from argparse import Namespace
from pathlib import Path

import pytest

from agentgym_hindsight.cli import COMMANDS, command_parser
from agentgym_hindsight.errors import HindsightError, UsageError

pytest.importorskip("trl", reason="needs the extra [train]")

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "tiny-to-7b.md"
#: Programs of others: of the system, of pip's environment, and of the packages that the page installs.
_OTHERS = {"git", "cd", "python3", "source", "pip", "nvidia-smi", "alfworld-download", "hf"}
_MODULE = "agentgym_hindsight"


def commands_of(text: str) -> list[list[str]]:
    """The words of every command in the bash blocks of a page: continued lines are joined, and ``&&`` splits.

    >>> commands_of("```bash\\na b \\\\\\n    c > d.yaml && e  # why\\n```\\n")
    [['a', 'b', 'c'], ['e']]
    """
    found = []
    for block in re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            for part in line.split("&&"):
                words = shlex.split(part, comments=True)
                if ">" in words:
                    words = words[: words.index(">")]
                if words:
                    found.append(words)
    return found


COMMANDS_OF_PAGE = commands_of(PAGE.read_text(encoding="utf-8"))


def launched(words: list[str]) -> tuple[list[str], Namespace]:
    """The words for ``agh`` of a command of ``accelerate launch``, and the options of the launcher."""
    from accelerate.commands.launch import launch_command_parser

    assert words[1] == "launch"
    options = launch_command_parser().parse_args(words[2:])
    assert options.module
    assert options.training_script == _MODULE
    return options.training_script_args, options


def parsed(words: list[str]) -> Namespace:
    assert words[0] in COMMANDS
    return command_parser(words[0]).parse_args(words)


def check_training(options: Namespace, processes: int) -> None:
    """The settings can be built, and TRL accepts its arguments."""
    from agentgym_hindsight.baselines.training.configuration import configure, load_configuration
    from agentgym_hindsight.baselines.training.trl_config import trl_values

    given = load_configuration(options.config) if options.config and options.config != "my.yaml" else {}
    settings = list(options.set)
    settings += [f"model={options.model}"] if options.model else []
    settings += [f"plan.updates={options.updates}"] if options.updates else []
    run = configure(options.recipe or "serl", given, settings, quick=options.quick)
    trl_values(run.plan, run.method, "runs/none", processes)
    if run.model != "tiny:S":
        assert options.out or options.print_config, "a long run has a folder of its own"


@pytest.mark.parametrize("words", COMMANDS_OF_PAGE, ids=[" ".join(words)[:60] for words in COMMANDS_OF_PAGE])
def test_every_command_of_the_page_is_parsed(words: list[str]) -> None:
    program, processes = words[0], 1
    if program == "accelerate":
        words, launcher = launched(words)
        processes = launcher.num_processes
        assert (launcher.use_fsdp, launcher.fsdp_version) == (True, "2")
        assert launcher.fsdp_auto_wrap_policy == "TRANSFORMER_BASED_WRAP"
    elif program == "agh":
        words = words[1:]
    else:
        assert program in _OTHERS
        return
    options = parsed(words)
    if options.command == "train":
        check_training(options, processes)
    elif options.command == "eval":
        from agentgym_hindsight.cli.eval_policies import canonical_policy, check_policy, policy_kind
        from agentgym_hindsight.cli.model_options import check_model_options

        for policy in options.policy:
            if not policy.startswith("runs/"):  # made by an earlier command
                check_policy(canonical_policy(policy))
                check_model_options(options, {policy_kind(canonical_policy(policy))})


def test_the_page_has_the_commands_that_matter() -> None:
    words = [" ".join(command) for command in COMMANDS_OF_PAGE]
    for part in (
        "agh doctor",
        "agh models get smollm2",
        "agh train serl --quick",
        "serl_alfworld_7b",
        "--num_processes 8",
    ):
        assert any(part in command for command in words), part


def test_a_wrong_command_is_found() -> None:
    with pytest.raises(UsageError):
        parsed(["train", "serl", "--out", "runs/x", "--no-such-option"])
    for wrong, processes in ((["--set", "plan.taks=4"], 1), (["--set", "plan.trl.vllm_gpu=1"], 1), ([], 3)):
        with pytest.raises(HindsightError):
            check_training(parsed(["train", "serl", "--out", "runs/x", *wrong]), processes)


@pytest.mark.parametrize("name", ["serl_alfworld_7b", "serl_webshop_7b", "grpo_alfworld_7b"])
def test_the_command_in_a_configuration_is_parsed(name: str) -> None:
    """The command at the top of the file shards by layers and names the file itself."""
    from agentgym_hindsight.baselines.training.configuration import shipped_configurations

    text = shipped_configurations()[name].read_text(encoding="utf-8")
    comment = "\n".join(line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#"))
    (command,) = re.findall(r"^accelerate .*\\\n.*$", comment, re.MULTILINE)
    words, launcher = launched(shlex.split(command.replace("\\\n", " ")))
    assert launcher.fsdp_auto_wrap_policy == "TRANSFORMER_BASED_WRAP"
    options = parsed(words)
    assert options.config == name
    check_training(Namespace(**{**vars(options), "out": "runs/x"}), launcher.num_processes)
