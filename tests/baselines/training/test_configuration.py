"""Settings from recipes, files and single values; and the configurations that are shipped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")
yaml = pytest.importorskip("yaml", reason="needs the extra [train]")

from agentgym_hindsight.baselines.methods import RECIPES  # noqa: E402
from agentgym_hindsight.baselines.training import configuration  # noqa: E402
from agentgym_hindsight.baselines.training.configuration import (  # noqa: E402
    TINY,
    configure,
    dump_configuration,
    load_configuration,
)
from agentgym_hindsight.baselines.training.plan import Plan  # noqa: E402
from agentgym_hindsight.baselines.training.run import RunSettings  # noqa: E402
from agentgym_hindsight.errors import (  # noqa: E402
    DamagedDataError,
    HindsightError,
    MissingDataError,
    UnknownNameError,
    UsageError,
)
from agentgym_hindsight.hindsight.judge import JudgeClient  # noqa: E402

CONFIGS = Path(configuration.__file__).parents[1] / "configs"
EVERY = sorted(CONFIGS.glob("*.yaml"))
BIG = "Qwen/Qwen2.5-7B-Instruct"


def loaded(path: Path) -> tuple[str, RunSettings]:
    given = load_configuration(path)
    return given["recipe"], configure(given["recipe"], given)


def through_yaml(name: str, training: RunSettings, tmp_path: Path) -> RunSettings:
    path = tmp_path / "run.yaml"
    path.write_text(dump_configuration(name, training), encoding="utf-8")
    recipe, again = loaded(path)
    assert recipe == name
    return again


# -- the shipped files ------------------------------------------------------------------------------------------------


def test_four_files_are_shipped() -> None:
    assert [path.stem for path in EVERY] == [
        "grpo_alfworld_7b",
        "serl_alfworld_7b",
        "serl_alfworld_tiny",
        "serl_webshop_7b",
    ]


@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.stem)
def test_a_shipped_file_is_equal_after_dump_and_load(path: Path, tmp_path: Path) -> None:
    name, training = loaded(path)
    assert path.stem.startswith(f"{name}_")
    assert through_yaml(name, training, tmp_path) == training
    assert path.read_text(encoding="utf-8").startswith("# "), "starts with a comment"


@pytest.mark.parametrize("name", ["serl_alfworld_7b", "grpo_alfworld_7b", "serl_webshop_7b"])
def test_shipped_files_have_the_settings_of_the_paper(name: str) -> None:
    """As released: 16 tasks of 8 siblings, rate 1e-6, 150 updates; every 15 updates, 128 tasks at temperature 0.4."""
    recipe, run = loaded(CONFIGS / f"{name}.yaml")
    shop = "webshop" in name
    plan, evaluation = run.plan, run.evaluation
    assert run.model == BIG
    assert (plan.tasks, plan.siblings, plan.updates) == (16, 8, 150)
    assert (plan.learning_rate, plan.grad_clip, plan.warmup) == (1e-6, 1.0, 0)
    assert (plan.prompt_tokens, plan.response_tokens) == ((4096, 512) if shop else (2048, 512))
    assert (plan.temperature, plan.vllm) == (1.0, "colocate")
    assert (evaluation.temperatures, evaluation.every, evaluation.tasks) == ((0.4,), 15, 128)
    assert evaluation.split == ("test" if shop else "valid_seen")
    assert run.stage.env == ("WebShop-Hindsight-v0" if shop else "ALFWorld-Hindsight-v0")
    assert run.stage.settings["max_steps"] == (15 if shop else 50)
    assert run.stage.settings["data"] == "official"
    turns = 128 * (8 if shop else 20)  # the approximate rows of an update, in batches of 64 and 256
    assert plan.mini_batches == turns // (64 if shop else 256)
    assert (run.stage.protocol, run.stage.history, run.stage.reward) == ("verl-agent-2025", 2, "10-won")
    method = run.method.as_dict()
    assert (method["clip"], method["dual_clip"], method["entropy"], method["kl"]) == (0.2, 3.0, 0.001, 0.0)
    assert (method["penalty"], method["statistics"], method["scale"]) == (0.1, "rows", "std")
    if recipe == "serl":
        assert (method["when"], method["how"], method["who"]) == ("0.5->0/50", "reweight:0.2", "sync:10")
        assert (method["what"], method["tokens"]) == ("immediate", "action")
    else:
        assert not run.method.has_teacher


def test_serl_and_grpo_files_differ_in_the_method_only() -> None:
    serl, grpo = (loaded(CONFIGS / f"{name}_alfworld_7b.yaml")[1].as_dict() for name in ("serl", "grpo"))
    assert serl.pop("method") != grpo.pop("method")
    assert serl == grpo


def test_the_tiny_file_contains_every_setting_of_the_preset() -> None:
    path = CONFIGS / "serl_alfworld_tiny.yaml"
    assert loaded(path)[1] == configure("serl")
    assert covers(load_configuration(path), TINY)
    assert covers(load_configuration(path)["method"], configure("serl").method.as_dict())


def covers(file: Any, preset: Any) -> bool:
    return all(key in file and (not isinstance(each, dict) or covers(file[key], each)) for key, each in preset.items())


# -- defaults and overrides -------------------------------------------------------------------------------------------


def test_defaults_are_the_papers_and_tiny_models_have_a_preset() -> None:
    big = configure("serl", {"model": BIG})
    assert big.plan == Plan()
    assert big.stage.protocol == "verl-agent-2025"
    tiny = configure("serl")
    assert (tiny.model, tiny.stage.protocol, tiny.plan.prompt_tokens) == ("tiny:S", "brief", 640)
    assert configure("serl", settings=["model=tiny:L"]).plan == tiny.plan


def test_later_settings_override_earlier_ones() -> None:
    given = {"plan": {"updates": 7, "tasks": 3}, "model": "tiny:M", "recipe": "grpo"}
    run = configure("serl", given, ["plan.updates=9", "plan.updates=11", "stage.settings.max_steps=4"])
    assert (run.plan.updates, run.plan.tasks, run.plan.siblings) == (11, 3, 8)
    house = {"data": "embedded", "difficulty": "bare", "task_types": ["look_at_obj_in_light"]}
    assert run.stage.settings == {**house, "max_steps": 4}
    assert configure("serl", settings=["stage.settings.task_types=null"]).stage.settings["task_types"] is None
    assert (run.model, run.method.name) == ("tiny:M", "serl")
    assert given == {"plan": {"updates": 7, "tasks": 3}, "model": "tiny:M", "recipe": "grpo"}, (
        "the given mapping is not changed"
    )
    assert configure("serl").plan.updates == 40, "nor is the preset"


def test_values_of_every_kind() -> None:
    run = configure(
        "serl",
        settings=[
            "plan.learning_rate=1", "plan.references=true", "plan.vllm=server", "evaluation.temperatures=[0, 0.4, 1]",
            "method.when=0.3", "method.dual_clip=null", "method.what=success|immediate@anchor", "train_tasks=9",
            "template.enable_thinking=false", "plan.trl.report_to=tensorboard", 'peft={"r": 8}', "stage.history=3",
            "method.statistics=trajectories", "evaluation.split=valid_seen", "stage.settings.data=a=b",
        ],
    )  # fmt: skip
    assert (run.plan.learning_rate, type(run.plan.learning_rate)) == (1.0, float)
    assert run.plan.references is True
    assert run.plan.vllm == "server"
    assert run.evaluation.temperatures == (0, 0.4, 1)
    assert run.method.when(7) == 0.3
    assert run.method.dual_clip is None
    assert str(run.method.what) == "success|immediate@anchor"
    assert run.train_tasks == 9
    assert run.template == {"enable_thinking": False}
    assert run.plan.trl == {"report_to": "tensorboard"}
    assert run.peft == {"r": 8}
    assert run.stage.history == 3
    assert run.method.as_dict()["statistics"] == "trajectories"
    assert run.stage.settings["data"] == "a=b"


def test_another_environment_has_no_settings_of_alfworld() -> None:
    run = configure("grpo", settings=["stage.env=WebShop-Hindsight-v0"])
    assert run.stage.settings == {"data": "embedded", "difficulty": "bare", "max_steps": 10}
    assert run.stage.protocol == "short"
    assert run.warm.needless_looks == 0


def test_official_data_have_no_difficulty_of_the_preset() -> None:
    run = configure("grpo", settings=["stage.env=webshop", "stage.settings.data=official"])
    assert run.stage.settings == {"data": "official"}


@pytest.mark.parametrize("env", ["tau", "bfcl"])
@pytest.mark.parametrize("setting", ["data", "backend"])
def test_official_tasks_have_no_kinds_of_the_preset(env: str, setting: str) -> None:
    usual = configure("grpo", settings=[f"stage.env={env}"]).stage.settings
    official = configure("grpo", settings=[f"stage.env={env}", f"stage.settings.{setting}=official"]).stage.settings
    assert {"kinds", "max_steps"} <= usual.keys()
    assert not {"kinds", "max_steps"} & official.keys()


@pytest.mark.parametrize("env", ["alfworld", "webshop", "appworld"])
def test_a_quick_run_differs_in_its_length_only(env: str) -> None:
    usual, quick = (configure("serl", settings=[f"stage.env={env}"], quick=quick) for quick in (False, True))
    assert quick.stage == usual.stage
    assert quick.method.as_dict() == usual.method.as_dict()
    assert quick.plan.updates < usual.plan.updates
    assert quick.evaluation.tasks < 100
    assert configure("serl", {"plan": {"updates": 9}}, quick=True).plan.updates == 9, "a given value stays"


def test_a_large_model_has_no_quick_run() -> None:
    with pytest.raises(UsageError, match="tiny"):
        configure("serl", {"model": BIG}, quick=True)


def test_settings_without_a_loss_of_prompts_are_those_of_earlier_runs() -> None:
    assert "prompt_loss" not in configure("serl").as_dict()["warm"]
    assert configure("serl", settings=["warm.prompt_loss=0.5"]).as_dict()["warm"]["prompt_loss"] == 0.5


@pytest.mark.parametrize("name", RECIPES)
def test_dump_and_load_give_the_same_settings(name: str, tmp_path: Path) -> None:
    settings = ["plan.seed=3", "method.clip=0.123456789", "plan.learning_rate=3e-6", "evaluation.temperatures=[1]",
                "plan.trl.report_to=none", 'peft={"r": 4}', "warm.noise=0.123", "template.a=b"]  # fmt: skip
    for training in (configure(name), configure(name, {"model": BIG}), configure(name, settings=settings)):
        again = through_yaml(name, training, tmp_path)
        assert again == training
        assert dump_configuration(name, again) == dump_configuration(name, training)
    assert again.plan.seed == 3


def test_the_seed_is_not_part_of_the_settings_as_a_dictionary() -> None:
    first, second = (configure("serl", settings=[f"plan.seed={seed}"]) for seed in (0, 1))
    assert first != second
    assert first.as_dict() == second.as_dict()
    assert json.loads(json.dumps(first.as_dict())) == json.loads(json.dumps(second.as_dict()))


# -- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "kind", "message"),
    [
        ("plan.update=3", UnknownNameError, "updates"),
        ("plans.updates=3", UnknownNameError, "plan"),
        ("method.penalti=0", UnknownNameError, "penalty"),
        ("evaluation.task=3", UnknownNameError, "tasks"),
        ("stage.envs=3", UnknownNameError, "env"),
        ("warm.noises=3", UnknownNameError, "noise"),
        ("stage.env=ALFWorld-Hindsight-v1", UnknownNameError, "ALFWorld-Hindsight-v0"),
        ("stage.protocol=breif", UnknownNameError, "brief"),
        ("plan.updates=many", UsageError, r"plan\.updates as int"),
        ("plan.updates=2.5", UsageError, r"plan\.updates as int"),
        ("plan.updates=0", UsageError, "updates ≥ 1"),
        ("plan.siblings=1", UsageError, r"plan\.siblings ≥ 2, got 1; try 8, because one rollout has no group"),
        ("plan.learning_rate=fast", UsageError, r"plan\.learning_rate as float"),
        ("plan.references=1", UsageError, r"plan\.references as bool"),
        ("plan.vllm=yes", UsageError, "colocate"),
        ("plan.temperature=0", UsageError, "temperature above 0"),
        ("plan.temperature=NaN", UsageError, r"plan\.temperature as float"),
        ("method.scale=variance", UsageError, r"scale as 'std' or 'none'"),
        ("method.where=null", UnknownNameError, "anchor, step"),
        ("method.who=3", UsageError, "who as text"),
        ("evaluation.temperatures=0.4", UsageError, "temperatures as tuple"),
        ("plan=3", UsageError, r"plan\.NAME=VALUE"),
        ("method=serl", UsageError, r"method\.NAME=VALUE"),
        ("stage.settings.split=train", UsageError, "split"),
        ("plan.updates", UsageError, "NAME=VALUE"),
        ("=3", UsageError, "NAME=VALUE"),
        ("model.name=x", UsageError, "another name"),
    ],
)
def test_errors_of_single_values(setting: str, kind: type[HindsightError], message: str) -> None:
    given = {"model": "tiny:S"} if setting.startswith("model.") else None
    with pytest.raises(kind, match=message):
        configure("serl", given, [setting])


@pytest.mark.parametrize("part", ["plan", "method", "stage", "warm"])
def test_names_of_settings_are_texts(part: str) -> None:
    with pytest.raises(UsageError, match=rf"{part}\.NAME=VALUE"):
        configure("serl", {part: {1: 2}})


def test_an_unknown_recipe() -> None:
    with pytest.raises(UnknownNameError, match="serl"):
        configure("sarl")


@pytest.mark.parametrize(
    ("text", "message"), [("a: [", "YAML"), ("- serl", "got list"), ("", "got NoneType"), ("3", "got int")]
)
def test_files_without_settings_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(DamagedDataError, match=message):
        load_configuration(path)
    with pytest.raises(MissingDataError, match=r"try one of: grpo_alfworld_7b, serl_alfworld_7b"):
        load_configuration(tmp_path / "nothing.yaml")


def test_a_number_without_a_point_is_read_from_yaml(tmp_path: Path) -> None:
    """YAML 1.1 reads 1e-6, without a point, as text."""
    path = tmp_path / "run.yaml"
    path.write_text("recipe: serl\nplan: {learning_rate: 1e-6}\n")
    assert loaded(path)[1].plan.learning_rate == 1e-6


@pytest.mark.parametrize(
    "setting",
    ["train_tasks=many", "samples_every=x", "template=no", "peft=3", "judge=gpt", "model=3", "plan.trl=none",
     "stage.settings=3", "stage.workers=-1", "stage.history=-1", "warm.noise=2", "evaluation.tasks=-1",
     "evaluation.temperatures=[-1]", "plan.learning_rate=-1", "plan.mini_batches=0", "plan.envs=-1",
     "stage.reward=100"],
)  # fmt: skip
def test_invalid_values_are_refused(setting: str) -> None:
    with pytest.raises(HindsightError, match=r"Expected|Unknown"):
        configure("serl", settings=[setting])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["method.what=immediate"], r"Expected a λ for the teacher, got none in grpo; try --when"),
        (["method.aux_kl=1"], "Expected a teacher for the option aux_kl, got grpo without one; try --what immediate"),
        (["method.who=frozen"], "Expected a teacher for the option who"),
        (["method.tokens=response"], "Expected a teacher for the option tokens"),
        (["method.how=reweight:0.9"], "Expected a teacher for the option how"),
    ],
)
def test_teacher_options_without_a_teacher_are_refused(settings: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        configure("grpo", settings=settings)


def test_lambda_may_be_0_for_a_method_with_a_teacher() -> None:
    assert configure("serl", settings=["method.when=0"]).method.when(0) == 0
    assert configure("grpo", settings=["method.what=immediate", "method.when=0.3"]).method.when(9) == 0.3


def test_passwords_of_a_judge_are_hidden() -> None:
    url = "https://me:s3cret@host/v1"
    given = {"judge": {"base_url": url, "model": "critic", "extra_body": {"api_key": "sk-1"}}}
    run = configure("serl", given, ['stage.settings.urls=["http://me:s3cret@one:1"]'])
    assert run.judge is not None
    assert run.judge["base_url"] == url, "the judge needs it"
    shown = [json.dumps(run.as_dict()), dump_configuration("serl", run), repr(run), str(run.stage)]
    for text in shown:
        assert "s3cret" not in text
        assert "sk-1" not in text
    assert "https://***@host/v1" in shown[0]
    # The printed configuration is read again, but its judge needs the password.
    again = configure("serl", yaml.safe_load(shown[1]))
    with pytest.raises(UsageError, match="try the real password"):
        JudgeClient(**again.judge)  # type: ignore[arg-type]
