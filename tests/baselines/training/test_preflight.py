"""Everything that can be refused is refused before the warm start, with the full name of the setting."""

from __future__ import annotations

import math
import pickle
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl", reason="needs the extra [train]")

import torch

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.credit import GroupRelative
from agentgym_hindsight.baselines.methods.gigpo import GroupInGroup
from agentgym_hindsight.baselines.methods.hgpo import HistoryGroups
from agentgym_hindsight.baselines.methods.rloo import LeaveOneOut
from agentgym_hindsight.baselines.settings import SettingError
from agentgym_hindsight.baselines.training import preflight
from agentgym_hindsight.baselines.training import run as runs
from agentgym_hindsight.baselines.training.configuration import configure
from agentgym_hindsight.baselines.training.plan import Plan
from agentgym_hindsight.baselines.training.preflight import check_settings, prepare
from agentgym_hindsight.baselines.training.run import RunSettings, train
from agentgym_hindsight.baselines.training.tiny import TEMPLATE_TOKENS, make_tokenizer
from agentgym_hindsight.errors import HindsightError, UnknownNameError, UsageError
from agentgym_hindsight.installation import pip_command
from agentgym_hindsight.stage import Stage

SMALL = ["stage.settings.max_steps=3", "train_tasks=4", "plan.tasks=2", "plan.siblings=2", "evaluation.tasks=2"]


@pytest.mark.parametrize(
    ("name", "setting", "message"),
    [
        ("serl", "method.penalty=-1", r"Expected method\.penalty ≥ 0, got -1\.0; try 0\.1"),
        ("gigpo", "method.gamma=2", r"Expected method\.gamma from 0 to 1, got 2\.0; try 0\.95"),
        ("gigpo", "method.omega=Infinity", r"Expected method\.omega as a finite number, got inf"),
        ("hgpo", "method.history=-1", r"Expected method\.history ≥ 0, got -1"),
        ("hgpo", "method.alpha=Infinity", r"method\.alpha as a finite number"),
        ("serl", "method.entropy=-1", r"Expected method\.entropy ≥ 0"),
        ("serl", "method.kl=Infinity", r"Expected method\.kl ≥ 0 and finite, got inf"),
        ("serl", "method.clip=1.5", r"Expected method\.clip above 0 and below 1"),
        ("serl", "method.dual_clip=1", r"Expected method\.dual_clip above 1\.2, got 1\.0"),
        ("serl", "method.penalty=much", r"Expected method\.penalty as float"),
        ("serl", "plan.updates=0", r"Expected plan\.updates ≥ 1, got 0; try 150\."),
        ("serl", "plan.grad_clip=Infinity", r"plan\.grad_clip ≥ 0 and finite"),
        ("serl", "plan.temperature=Infinity", r"plan\.temperature above 0 and finite"),
        ("serl", "plan.seed=-1", r"Expected plan\.seed from 0 to 2147483647, got -1"),
        ("serl", f"plan.seed={2**32}", r"plan\.seed from 0 to"),
        ("serl", "evaluation.seed=-1", r"evaluation\.seed from 0 to"),
        ("serl", "evaluation.envs=0", r"evaluation\.envs ≥ 1"),
        ("serl", "evaluation.temperatures=[-1]", r"evaluation\.temperatures as numbers ≥ 0"),
        ("serl", "warm.epochs=Infinity", r"warm\.epochs above 0 and finite"),
        ("serl", "warm.noise=2", r"Expected warm\.noise from 0 to 1, got 2\.0"),
        ("serl", "warm.batch=0", r"warm\.batch ≥ 1"),
        ("serl", "train_tasks=-1", r"Expected train_tasks ≥ 0"),
        ("serl", "samples_every=-1", r"samples_every ≥ 0"),
        ("serl", "model=tiny:XL", "size of a tiny policy, got 'XL'"),
    ],
)
def test_a_value_out_of_range_is_refused_when_it_is_read(name: str, setting: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        configure(name, settings=[setting])


def test_an_error_of_a_setting_survives_pickling() -> None:
    error = SettingError("updates", "≥ 1", 0, "150").within("plan")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.name) == (str(error), "plan.updates")


@pytest.mark.parametrize(
    "make",
    [
        lambda: GroupRelative(penalty=-0.1),
        lambda: GroupRelative(scale="sd"),  # type: ignore[arg-type]
        lambda: LeaveOneOut(statistics="row"),  # type: ignore[arg-type]
        lambda: GroupInGroup(gamma=1.5),
        lambda: GroupInGroup(omega=math.nan),
        lambda: HistoryGroups(weight_offset=-1),
        lambda: Plan(learning_rate=math.inf),
        lambda: Plan(updates="3"),  # type: ignore[arg-type]
    ],
)
def test_objects_check_their_values_too(make: Any) -> None:
    with pytest.raises(UsageError, match="Expected"):
        make()


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        (["plan.tasks=9"], UsageError, r"at least 9 training tasks.*plan\.tasks\), got 4; try plan\.tasks=4"),
        (["train_tasks=100000"], SettingError, r"Expected train_tasks ≤ \d+, the number of tasks of train"),
        (["evaluation.tasks=100000"], SettingError, r"evaluation\.tasks ≤ \d+, the number of tasks of valid_unseen"),
        (["evaluation.split=nowhere"], HindsightError, "nowhere"),
        (["judge.base_ulr=http://x", "judge.model=m"], UnknownNameError, "setting of judge.*did you mean 'base_url'"),
        (["judge.base_url=http://x/v1"], UsageError, r"Expected judge\.model, got none"),
        (["judge.base_url=http://x/v1", "judge.model=m", "judge.timeout=soon"], UsageError, r"judge\.timeout as float"),
        (
            ["judge.base_url=http://x/v1", "judge.model=m", "judge.options.detail=true"],
            UnknownNameError,
            r"setting of judge\.options.*did you mean 'details'",
        ),
        (["method.what=judge"], UsageError, r"Expected a judge.*judge\.base_url"),
        (["plan.trl.learning_speed=3"], UsageError, "GRPOConfig, got learning_speed"),
        (["plan.trl.lr_scheduler_type=sideways"], UsageError, r"TRL accepts in plan\.trl \(lr_scheduler_type\)"),
        (["plan.trl.report_to=nothing"], UnknownNameError, r"tracker in plan\.trl\.report_to, got 'nothing'"),
        (["plan.trl.report_to=neptune"], SettingError, "an installed tracker, got 'neptune'; try pip install"),
        (["plan.mini_batches=2", "plan.save_every=2", "plan.trl.save_steps=3"], UsageError, "between updates only"),
        (["plan.prompt_tokens=3"], SettingError, r"plan\.prompt_tokens above 3"),
    ],
)
def test_a_combination_that_would_fail_later_is_refused_before(
    settings: list[str], kind: type[HindsightError], message: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=message):
        prepare(configure("serl", settings=[*SMALL, *settings]), tmp_path / "run")
    assert list(tmp_path.iterdir()) == [], "nothing is written"


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # PEFT 0.21 on transformers 5.24
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["peft.rank=4"], "known setting of peft, got 'rank'.*Known:.* r,"),
        (["peft.r=0", "peft.target_modules=all-linear"], "settings of a LoraConfig in peft, got ValueError"),
        (["peft.r=4", 'peft.target_modules=["nope"]'], "nope"),
    ],
)
def test_adapters_that_do_not_fit_are_refused_before(settings: list[str], message: str, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    state = torch.get_rng_state()
    with pytest.raises(UsageError, match=message):
        check_settings(configure("serl", settings=[*SMALL, *settings]), tmp_path)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
def test_adapters_that_fit_are_made(tmp_path: Path) -> None:
    pytest.importorskip("peft")
    settings = configure("serl", settings=[*SMALL, "peft.r=4", "peft.target_modules=all-linear"])
    assert check_settings(settings, tmp_path)[1].r == 4


def test_fsdp_1_is_refused_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.delenv("FSDP_VERSION", raising=False)
    with pytest.raises(UsageError, match="try fsdp_version: 2"):
        check_settings(configure("serl", settings=SMALL), tmp_path)


def test_processes_share_the_tasks_evenly(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="3 processes can share evenly, got 2; try 3"):
        check_settings(configure("serl", settings=SMALL), tmp_path, processes=3)


def test_the_tokens_of_the_template() -> None:
    tokenizer = make_tokenizer(["look"])
    chat = [{"role": "user", "content": ""}]
    ids = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert len(tokenizer(ids)["input_ids"]) == TEMPLATE_TOKENS


def test_an_environment_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"kind HindsightEnv, got 'CartPole-v1'.*try one of ALFWorld"):
        prepare(configure("serl", settings=["stage.env=CartPole-v1"]), tmp_path)
    with pytest.raises(UsageError, match="kind HindsightEnv, got 'CartPole-v1'"):
        Stage("CartPole-v1")


# -- a method in Python -----------------------------------------------------------------------------------------------


def run_with(method: Method, **changes: Any) -> RunSettings:
    settings = configure("grpo", settings=SMALL)
    return RunSettings(method, settings.stage, settings.plan, settings.evaluation, **changes)


@pytest.mark.parametrize(
    ("credit", "message"),
    [
        (
            lambda rows: rows.returns[:2],
            r"one advantage per row, an array \(5,\), .* 'mine', got \(2,\)",
        ),
        (lambda rows: 1.0, "got float"),
        (lambda rows: rows.returns / 0, "finite advantages"),
        (lambda rows: rows.rewads, "got AttributeError"),
    ],
)
def test_a_credit_of_ones_own_is_tried_before(credit: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        check_settings(run_with(Method("mine", credit)), tmp_path)


def test_the_strength_of_a_teacher_is_checked_at_every_update(tmp_path: Path) -> None:
    method = recipe("serl").changed(when=lambda update: 0.1 * update)
    with pytest.raises(UsageError, match=r"between 0 and 1, got 1\.1.* at update 11"):
        check_settings(run_with(method), tmp_path)


def test_a_random_number_in_a_credit_does_not_change_the_training(tmp_path: Path) -> None:
    state = torch.get_rng_state()
    check_settings(run_with(Method("mine", lambda rows: torch.rand(len(rows)))), tmp_path)
    assert torch.equal(state, torch.get_rng_state())


# -- the folder -------------------------------------------------------------------------------------------------------


def no_start(*_: Any, **__: Any) -> None:
    raise AssertionError("the warm start was made before the check")


@pytest.mark.parametrize("name", ["file", "file/run"])
def test_a_file_in_the_path_of_the_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "open_start", no_start)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match=r"Expected a folder( for the run)?, got (the|a) file"):
        train(configure("serl", settings=SMALL), tmp_path / name)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runs, "open_start", no_start)
    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(UsageError, match=r"can be written, got .*run: No space left on device; try another --out"):
        train(configure("serl", settings=SMALL), tmp_path / "run")


def test_a_folder_with_a_policy_of_another_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "open_start", no_start)
    (tmp_path / "policy").mkdir()
    with pytest.raises(UsageError, match=r"files that are not of a run \(policy\)"):
        train(configure("serl", settings=SMALL), tmp_path)


def test_fresh_deletes_only_files_that_a_run_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "open_start", no_start)
    (tmp_path / "run.json").write_text('{"name": "a race"}')
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"not of a run \(run\.json\).*--fresh"):
        train(configure("serl", settings=SMALL), tmp_path)
    with pytest.raises(AssertionError, match="warm start"):
        train(configure("serl", settings=SMALL), tmp_path, fresh=True)
    assert not (tmp_path / "run.json").exists()
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_missing_extra_is_named_for_train_in_python_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "find_spec", lambda _: None)
    with pytest.raises(HindsightError, match=re.escape(pip_command("vllm"))):
        train(configure("serl", settings=[*SMALL, "plan.vllm=colocate"]), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cuda", [False, True])
def test_a_vllm_server_needs_a_gpu_to_get_weights(cuda: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "find_spec", lambda _: object())
    monkeypatch.setattr(preflight, "_has_cuda", lambda: cuda)
    settings = configure("serl", settings=[*SMALL, "plan.vllm=server"])
    if cuda:
        preflight._require_extras(settings)
        return
    with pytest.raises(UsageError, match=r"a GPU for plan\.vllm=server.*--set plan\.vllm="):
        train(settings, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
