"""A method, a protocol and a parser of one's own, without a change of the library: docs/methods/your-own.md."""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("trl", reason="needs the extra [train]")
yaml = pytest.importorskip("yaml", reason="needs the extra [train]")

from agentgym_hindsight.baselines.methods import recipe, recipe_name  # noqa: E402
from agentgym_hindsight.baselines.run_log import RunLog  # noqa: E402
from agentgym_hindsight.baselines.training.configuration import configure, dump_configuration, load_configuration  # noqa: E402
from agentgym_hindsight.baselines.training.own_code import changed_modules, imported_names, module_hashes  # noqa: E402
from agentgym_hindsight.baselines.training.preflight import check_settings  # noqa: E402
from agentgym_hindsight.baselines.training.start import start_folder  # noqa: E402
from agentgym_hindsight.cli import eval_command, train_command  # noqa: E402
from agentgym_hindsight.cli.compare_tables import Entry  # noqa: E402
from agentgym_hindsight.errors import UnknownNameError, UsageError  # noqa: E402
from tests.own_code import blocks, forgotten, write_example  # noqa: E402

ROOT = Path(__file__).parents[2]
METHOD, SHORT = "my_method:METHOD", "my_method:Short"
OWN = {"method": {"share": 0.7}, "stage": {"protocol": SHORT}}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, which contains the example."""
    monkeypatch.chdir(tmp_path)
    write_example(tmp_path)
    with forgotten():
        yield tmp_path


def printed(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    train_command.arguments(parser)
    assert train_command.run(parser.parse_args([str(word) for word in (*words, "--print-config")])) == 0
    document = yaml.safe_load(capsys.readouterr().out)
    assert isinstance(document, dict)
    return document


# -- names ------------------------------------------------------------------------------------------------------------


def test_a_method_is_found_by_its_name() -> None:
    method = recipe(METHOD)
    assert (method.name, method.imported_from) == ("against-the-best", METHOD)
    assert method.changed(share=0.7).as_dict()["share"] == 0.7
    assert method.changed(share=0.7).imported_from == METHOD
    assert "imported_from" not in method.as_dict()
    with pytest.raises(UnknownNameError, match="imported_from"):
        method.changed(imported_from="x:Y")
    assert method.changed(what="immediate", when="0.3").has_teacher
    with pytest.raises(UsageError, match="share as float"):
        method.changed(share="much")


def test_the_python_of_the_page_runs() -> None:
    names: dict[str, Any] = {}
    (block,) = blocks("py")
    exec(compile(block, "your-own.md", "exec"), names)
    assert names["run"].method == names["same"].method
    assert names["run"].stage.parser == names["same"].stage.parser == "my_method:read_reply"


def test_the_yaml_of_the_page_is_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "mine.yaml").write_text(blocks("yaml")[0])
    document = printed(capsys, "--config", "mine.yaml")
    assert (document["recipe"], document["method"]["share"]) == (METHOD, 0.7)
    assert document["stage"]["protocol"] == SHORT
    assert document == printed(capsys, METHOD, "--set", "method.share=0.7", "--set", f"stage.protocol={SHORT}")
    assert printed(capsys, "serl", "--config", "mine.yaml")["method"] == configure("serl").method.as_dict()


def test_the_configuration_survives_yaml(folder: Path) -> None:
    training = configure(METHOD, OWN, ["stage.parser=plain", "method.what=immediate", "method.when=0.3"])
    (folder / "mine.yaml").write_text(dump_configuration(METHOD, training))
    given = load_configuration("mine.yaml")
    assert configure(given["recipe"], given) == training


def test_recipes_match_without_regard_to_case(capsys: pytest.CaptureFixture[str]) -> None:
    assert recipe(" SERL") == recipe("serl")
    assert recipe_name("GiGPO") == "gigpo"
    assert printed(capsys, "SERL", "--model", "Tiny:m") == printed(capsys, "serl", "--model", "tiny:M")
    shipped = configure("grpo", load_configuration("GRPO_ALFWorld_7B"))
    assert shipped == configure("grpo", load_configuration("grpo_alfworld_7b"))
    changed = recipe("gigpo").changed(anchor="State", scale="NONE", tokens="Response@Failed", how="REWEIGHT:0.1")
    assert (changed.anchor, changed.as_dict()["scale"], str(changed.tokens)) == ("state", "none", "response@failed")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my_method:AgainstTheBest", "Expected a Method as 'my_method:AgainstTheBest', got type; try METHOD = Method"),
        ("my_method:METHODS", "Known: AgainstTheBest, Array, METHOD, "),
        (
            "my_methods:METHOD",
            "no module 'my_methods'; install it, or start the command in the folder that contains it",
        ),
        ("serll", "did you mean 'serl'"),
    ],
)
def test_errors(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        configure(name)


def test_entries_of_a_comparison() -> None:
    assert Entry.parse(METHOD) == Entry(METHOD, METHOD, ())
    own = Entry.parse(f"{METHOD}:share=0.7,what=next")
    assert (own.recipe, own.values) == (METHOD, ("share=0.7", "what=next"))
    assert set(own.folder) <= set("abcdefghijklmnopqrstuvwxyzMETHOD0123456789=+-_.")
    assert Entry.parse("SERL:what=next") == Entry.parse("serl:what=next")
    with pytest.raises(UsageError, match="NAME=VALUE"):
        Entry.parse("serl:next")
    with pytest.raises(UsageError, match="NAME=VALUE"):
        Entry.parse(f"{METHOD}:next")


# -- a credit and a schedule without text -----------------------------------------------------------------------------


FUNCTIONS = """
from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.hindsight.spec import ContextSpec


def fade(update):
    return max(0.0, 0.4 - 0.1 * update)


class Steps:
    def __call__(self, update):
        return 0.2


def returns(rows):
    return rows.returns


FUNCTION = Method("function", returns, what=ContextSpec.parse("immediate"), when=fade)
OBJECT = Method("object", returns, what=ContextSpec.parse("immediate"), when=Steps())
LAMBDA = Method("lambda", lambda rows: rows.returns)
"""


def test_functions_and_objects_have_a_text_without_addresses(folder: Path) -> None:
    (folder / "my_functions.py").write_text(FUNCTIONS)
    assert recipe("my_functions:FUNCTION").as_dict()["when"] == "my_functions:fade"
    assert recipe("my_functions:OBJECT").as_dict()["when"] == "<my_functions.Steps object>"
    assert "0x" not in json.dumps(dict(recipe("my_functions:LAMBDA").as_dict()))
    # The text of a function is an import name; another text is left out, because the method has the schedule.
    for name, when in (("FUNCTION", "my_functions:fade"), ("OBJECT", None)):
        training = configure(f"my_functions:{name}")
        (folder / "mine.yaml").write_text(dump_configuration(f"my_functions:{name}", training))
        given = load_configuration("mine.yaml")
        assert given["method"].get("when") == when
        assert configure(given["recipe"], given).method.when(1) == training.method.when(1)
    serl = configure("serl", settings=["method.when=my_functions:fade"])
    assert (serl.method.when(0), serl.method.when(9)) == (0.4, 0.0)
    assert imported_names(serl) == ["my_functions:fade"]


# -- what a run stores ------------------------------------------------------------------------------------------------


def test_a_run_names_its_modules_and_notices_changes(folder: Path) -> None:
    training = configure(METHOD, OWN)
    assert imported_names(training) == [METHOD, SHORT, "my_method:read_reply"]
    code = module_hashes(training)
    assert code.keys() == {"my_method"}
    assert changed_modules(code, training) == []
    starts = [start_folder(training.model, training.stage, training.warm, training.plan)]
    (folder / "my_method.py").write_text((folder / "my_method.py").read_text() + "\n# changed\n")
    assert changed_modules(code, training) == ["my_method"]
    starts.append(start_folder(training.model, training.stage, training.warm, training.plan))
    assert starts[0] != starts[1], "a warm start depends on the code of protocol and parser"
    assert imported_names(configure("serl")) == []
    assert module_hashes(configure("serl")) == {}


def test_a_run_of_another_method_with_equal_values_is_refused(folder: Path) -> None:
    log = RunLog(folder / "run")
    log.begin({"recipe": "mine", "imports": ["my_method:METHOD"], "code": {"my_method": "1"}})
    log.begin({"recipe": "mine", "imports": ["my_method:METHOD"], "code": {"my_method": "2"}})
    assert log.description()["resumed"] == [{"code": {"my_method": "2"}}]
    with pytest.raises(UsageError, match=r"imports was \['my_method:METHOD'\] and is None"):
        log.check({"recipe": "mine"})


def test_own_parts_are_tried_before_the_warm_start(folder: Path) -> None:
    source = (folder / "my_method.py").read_text()
    for number, (old, new, message) in enumerate(
        [
            (
                "state.goal",
                "state.gaol",
                "the protocol 'my_wrong0:Short' to work on a small example, got AttributeError",
            ),
            (
                'response.find("do:")',
                "response.find(3)",
                "parser 'my_wrong1:read_reply' to read every response, got TypeError",
            ),
            ("self.share * best", "self.share * best[:2]", "the credit of the method 'against-the-best' to work"),
            ("read_reply.format_response =", "unused =", r"try read_reply\.format_response = lambda"),
        ]
    ):
        name = f"my_wrong{number}"
        (folder / f"{name}.py").write_text(source.replace(old, new).replace("my_method:", f"{name}:"))
        with pytest.raises(UsageError, match=message):
            check_settings(configure(f"{name}:METHOD", {"stage": {"protocol": f"{name}:Short"}}), folder)


def test_an_evaluation_elsewhere_names_what_it_needs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "run" / "policy").mkdir(parents=True)
    with forgotten():
        settings = configure(METHOD, OWN).as_dict()
    (folder / "run" / "run.json").write_text(json.dumps({"settings": settings}))
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    parser = argparse.ArgumentParser()
    eval_command.arguments(parser)
    options = parser.parse_args(["--policy", str(folder / "run" / "policy")])
    with pytest.raises(
        UsageError, match=r"The protocol of the training run in .*run cannot be used: .*no module 'my_method'"
    ):
        eval_command.run(options)


# -- the command line -------------------------------------------------------------------------------------------------

TINY = [
    "warm.tasks=2", "warm.epochs=0.5", "warm.batch=8", "plan.tasks=2", "plan.siblings=2", "plan.prompt_tokens=224",
    "plan.response_tokens=6", "plan.context_tokens=48", "stage.settings.max_steps=3", "train_tasks=6",
    "evaluation.tasks=3", "evaluation.temperatures=[0]", "samples_every=1",
]  # fmt: skip
SETS = [word for setting in TINY for word in ("--set", setting)]


def agh(*words: object, start: tuple[str, ...] = (sys.executable, "-m"), cwd: Path | None = None) -> tuple[int, str]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    environment.pop("NO_COLOR", None)
    command = [*start, "agentgym_hindsight", *(str(word) for word in words)]
    done = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False, timeout=500)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_the_commands_of_the_page(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    words = ("train", METHOD, "--set", "method.share=0.7", "--set", f"stage.protocol={SHORT}", *SETS)
    status, text = agh(*words, "--updates", 2)
    assert status == 0, text
    run = folder / "runs" / "against-the-best-alfworld-seed0"
    document = json.loads((run / "run.json").read_text())
    assert document["recipe"] == "against-the-best"
    assert document["imports"] == [METHOD, SHORT, "my_method:read_reply"]
    assert document["settings"]["method"]["share"] == 0.7
    # A log has one line per update and one per evaluation, without escapes.
    assert "\x1b" not in text
    assert "\r" not in text
    lines = text.splitlines()
    assert [line.split("] ")[1] for line in lines if "] against-the-best: " in line and " success" in line] == [
        line.split("] ")[1] for line in lines if ": 1 of 2, success" in line or ": 2 of 2, success" in line
    ]
    assert sum(": 1 of 2, success" in line or ": 2 of 2, success" in line for line in lines) == 2
    assert sum("] before training, greedy: success" in line for line in lines) == 1
    assert sum("] after 2 updates, greedy: success" in line for line in lines) == 1

    # A new process prolongs the run; changed code is named, recorded and used.
    (folder / "my_method.py").write_text((folder / "my_method.py").read_text() + "\n# changed\n")
    status, text = agh(*words, "--updates", 3)
    assert status == 0, text
    assert "the module my_method has changed since the run began" in text
    assert "continuing after 2 of 3 updates" in text
    document = json.loads((run / "run.json").read_text())
    assert document["resumed"][0]["updates"] == [2, 3]
    assert document["resumed"][0]["code"] != document["code"]

    # The evaluation of its policy uses the same protocol and parser.
    status, text = agh("eval", "--policy", run / "policy", "--tasks", 3, "--temperature", 0, "--out", "eval")
    assert status == 0, text
    (file,) = (folder / "eval").glob("rollouts-*.jsonl")
    rollout = json.loads(file.read_text().splitlines()[0])
    assert rollout["extra"]["run"]["protocol"] == SHORT
    assert rollout["steps"][0]["prompt"].startswith("Task: ")
    assert "\nDone: " in rollout["steps"][0]["prompt"]

    # Another value, and another folder.
    status, text = agh(*words, "--updates", 4, "--set", "method.share=0.6")
    assert (status, "method.share was 0.7 and is 0.6" in text) == (2, True), text
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    status, text = agh(*words, "--updates", 4, "--out", run, cwd=elsewhere)
    assert (status, "no module 'my_method'; install it, or start the command in the folder" in text) == (2, True), text
    assert "Traceback" not in text


@pytest.mark.slow
def test_several_processes_import_the_modules(folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torchrun = (
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc_per_node",
        "2",
        "--master_port",
        str(port),
        "-m",
    )
    os.environ["ACCELERATE_USE_CPU"] = "true"
    try:
        status, text = agh(
            "train", METHOD, "--set", f"stage.protocol={SHORT}", *SETS, "--updates", 2, "--out", "two", start=torchrun
        )
    finally:
        del os.environ["ACCELERATE_USE_CPU"]
    assert status == 0, text
    assert [line["update"] for line in RunLog(folder / "two").read("metrics")] == [0, 1]
    assert text.count(": 1 of 2, success") == 1, "only the first process writes"
    # The first process makes the warm start while the other one waits; it is that of a single process.
    (folder / "runs").rename(folder / "runs-of-two")
    status, text = agh("train", METHOD, "--set", f"stage.protocol={SHORT}", *SETS, "--start-only")
    assert status == 0, text
    (made,) = (folder / "runs-of-two" / "starts").glob("tiny-*/model.safetensors")
    (alone,) = (folder / "runs" / "starts").glob("tiny-*/model.safetensors")
    assert (made.parent.name, made.read_bytes()) == (alone.parent.name, alone.read_bytes())


def test_the_example_differs_from_grpo(folder: Path) -> None:
    import torch

    from agentgym_hindsight.baselines.methods.rows import Rows

    rows = Rows(
        group=torch.tensor([0, 0, 1]), trajectory=torch.tensor([0, 1, 2]), place=torch.tensor([0, 0, 0]),
        returns=torch.tensor([10.0, 0.0, 4.0]), rewards=torch.tensor([10.0, 0.0, 4.0]),
        invalid=torch.tensor([False] * 3), anchors=("a", "a", "a"),
    )  # fmt: skip
    assert recipe(METHOD).changed(share=0.7).credit(rows).tolist() == pytest.approx([3.0, -7.0, 1.2])
    assert replace(recipe(METHOD), name="other") != recipe(METHOD)
