"""Settings that reproduce SERL's release where our default differs."""

from __future__ import annotations

import json
import re
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import numpy as np

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.methods.recorded import rows_of_rollouts
from agentgym_hindsight.baselines.training.configuration import (
    configure,
    dump_configuration,
    load_configuration,
    shipped_configurations,
)
from agentgym_hindsight.baselines.training.context_settings import ContextSettings
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.anchors import cluster
from agentgym_hindsight.hindsight.context import compose
from agentgym_hindsight.hindsight.render import candidate_action
from agentgym_hindsight.hindsight.spec import ContextOptions
from agentgym_hindsight.hindsight.trajectory import Group, Step, Trajectory
from tests.baselines.methods.test_credit import rows_of as rows
from tests.baselines.training.test_training_rows import PAIR, rows_of
from tests.baselines.training.tiny_runs import PLAN, make_trainer
from tests.baselines.training.trainer_probes import record_loss_inputs

RELEASED = ContextOptions.released()


def test_a_reply_whose_action_is_in_its_thinking_has_an_empty_action() -> None:
    reply = "<think>I <action>look</action></think>"
    turn = Step(0, "a hall", "look", "", "", response=reply, action_span=(17, 21))
    assert candidate_action(turn, RELEASED) == "(empty action)"
    assert candidate_action(turn, ContextOptions()) == "look"
    group = Group([Trajectory("1f", steps=(replace(turn, feedback="ok"),))])
    (context,) = compose("immediate@anchor", group, options=RELEASED)
    assert context[0].sections[0].body == "action (empty action), ok"


@pytest.mark.parametrize(("kind", "in_contexts"), [("observation", [2]), ("similar", [1, 1])])
def test_empty_observations(kind: str, in_contexts: list[int]) -> None:
    """They are one anchor, but with ``similar`` only to credits: in contexts an empty text is similar to none."""
    steps = [Step(0, "", "look", "", "", prompt=prompt) for prompt in ("first of all", "something else")]
    group = [Trajectory("1f", steps=(step,)) for step in steps]
    assert [len(anchor) for anchor in cluster(group, kind)] == [1, 1]
    assert [len(anchor) for anchor in cluster(group, kind, prompts=False)] == in_contexts
    released = rows_of_rollouts([group], kind, released=True).anchors
    assert len(set(released)) == 1 < len(set(rows_of_rollouts([group], kind).anchors))


def test_similar_anchors_in_batch_order() -> None:
    """B is like A and like C, but A and C differ: who comes first decides with whom B is compared."""
    a, b, c = ("".join(parts) for parts in ("x" * 16 + "aaaa", "x" * 16 + "aacc", "x" * 16 + "cccc"))
    first = Trajectory("1f", steps=(Step(0, "other", "", "", ""), Step(1, a, "", "", "")))
    second = Trajectory("1f", steps=(Step(0, c, "", "", ""), Step(1, b, "", "", "")))
    ratio = 0.9

    def pairs(**options: Any) -> set[tuple[str, ...]]:
        found = cluster([first, second], "similar", ratio, **options)
        return {tuple(row.step.observation for row in anchor.rows) for anchor in found}

    assert pairs() == {("other",), (c, b), (a,)}  # by step: c comes before a
    assert pairs(batch_order=True) == {("other",), (a, b), (c,)}


def test_first_rows_by_hand() -> None:
    """Mean and deviation of the first rows (10 and −0.1); every row's own score, with its own penalty."""
    given = rows((0, "sa", (0, 10)), (0, "sab", (0, 0, 0)), invalid=[(0, 1), (1, 0)])
    mean, deviation = statistics.mean([10, -0.1]), statistics.stdev([10, -0.1])
    scores = [10, 9.9, -0.1, 0, 0]
    grpo = recipe("grpo").changed(statistics="first_rows").credit(given)
    assert grpo.tolist() == pytest.approx([(score - mean) / (deviation + 1e-6) for score in scores], rel=1e-5)
    rloo = recipe("rloo").changed(statistics="first_rows").credit(given)
    assert rloo.tolist() == pytest.approx([(score - mean) * 2 for score in scores], rel=1e-5)
    alone = recipe("grpo").changed(statistics="first_rows").credit(rows((0, "sa", (0, 4))))
    assert alone.tolist() == pytest.approx([4, 4], rel=1e-5)  # the only score: mean 0, std 1
    valid = rows((0, "sa", (0, 10)), (0, "sab", (0, 0, 0)))
    for name in ("grpo", "rloo", "gigpo"):
        by_rollout = recipe(name).changed(statistics="trajectories").credit(valid)
        np.testing.assert_allclose(recipe(name).changed(statistics="first_rows").credit(valid), by_rollout, rtol=1e-6)


def test_right_raw_cuts_the_end_of_the_whole_prompt() -> None:
    settings = ContextSettings(truncation="right_raw")
    long = rows_of(PAIR, recipe("serl").changed(what="next"), limit=1024, contexts=settings)
    whole = {row.step.index: row.teacher_ids for row in long if row.episode == 0}
    limit = max(map(len, whole.values())) - 3
    short = rows_of(PAIR, recipe("serl").changed(what="next"), limit=limit, contexts=settings)
    short = [row for row in short if row.episode == 0]
    assert any(row.context_cut for row in short)
    for row in short:
        assert row.teacher_ids == whole[row.step.index][:limit]
    ours = rows_of(PAIR, recipe("serl").changed(what="next"), limit=limit)
    assert all(row.teacher_ids[-1:] == whole[0][-1:] for row in ours if row.teacher_ids)  # the header of the answer


def test_the_settings_reach_the_contexts() -> None:
    method = recipe("serl").changed(what="success")
    steps = ContextSettings(max_traj_context_steps=1, trajectory_format="observation_action", self_success=True)
    shown = {row.context.text for row in rows_of(PAIR, method, contexts=steps) if row.context is not None}
    assert len(shown) == 1
    (text,) = shown
    assert "Observation:" in text
    assert "1 more steps omitted" in text
    assert all(row.context is not None for row in rows_of(PAIR, method, contexts=steps))
    assert any(row.context is None for row in rows_of(PAIR, method))  # the winner is no reference for itself


def test_micro_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss is the mean over micro-batches of their token means; its gradient is that of each, averaged."""
    seen = record_loss_inputs(monkeypatch)
    plan = replace(PLAN, updates=1, micro_rows=3)
    trainer = make_trainer(recipe("grpo").changed(entropy=0.0), tmp_path, plan)
    trainer.train()
    sizes = [len(batch["prompt_ids"]) for batch in seen]
    assert max(sizes) == 3
    assert len(sizes) > 1
    for batch in seen:
        tokens = float(batch["completion_mask"].sum())
        assert float(batch["num_items_in_batch"]) == pytest.approx(tokens * len(seen))


def test_from_the_command_line() -> None:
    words = ["plan.contexts.truncation=right_raw", "plan.contexts.anchor_ratio=0.9", "plan.contexts.released=true"]
    run = configure("serl", settings=[*words, "plan.micro_rows=4", "method.statistics=first_rows"])
    assert run.plan.context_settings == ContextSettings(released=True, anchor_ratio=0.9, truncation="right_raw")
    options = run.plan.context_settings.options(run.method)
    assert options == replace(ContextOptions.released(), anchor_ratio=0.9)
    assert "right_raw" in dump_configuration("serl", run)
    assert "contexts" not in configure("serl").as_dict()["plan"]
    assert ContextSettings().options(recipe("serl")) == ContextOptions(anchor="observation")
    wrongs = ("contexts.truncation=left", "contexts.anchor_ratio=1", "contexts=3", "contexts.trunc=x", "micro_rows=-1")
    for wrong in wrongs:
        with pytest.raises(UsageError):
            configure("serl", settings=[f"plan.{wrong}"])


@pytest.mark.parametrize("name", ["serl_alfworld_7b", "serl_webshop_7b"])
def test_the_settings_that_a_configuration_names_can_be_set(name: str) -> None:
    """The comment of what is not as released is not forgotten when a setting gets another name."""
    yaml = pytest.importorskip("yaml")
    text = shipped_configurations()[name].read_text(encoding="utf-8")
    named = dict(re.findall(r"^#   ([\w.]+): ([^#\n]+)", text, re.MULTILINE))
    assert set(named) == {"plan.contexts.truncation", "plan.released_batching", "plan.micro_rows", "method.tokens"}
    settings = [f"{key}={json.dumps(yaml.safe_load(value))}" for key, value in named.items()]
    before, after = (configure("serl", load_configuration(name), given) for given in ([], settings))
    assert before.plan.batching.multiple == before.plan.micro_rows == 0
    rows = after.plan.micro_rows * after.plan.batching.gpus
    assert after.plan.batching.multiple == rows, "32 or 8 rows of each of eight GPUs"
    assert (str(after.method.tokens), after.plan.context_settings.truncation) == ("action:released", "right_raw")


def test_the_shipped_configurations_are_as_released() -> None:
    for name in ("serl_alfworld_7b", "serl_webshop_7b", "grpo_alfworld_7b"):
        values = load_configuration(name)
        assert values["plan"]["weight_decay"] == 0.01
        assert values["plan"]["trl"] == {"vllm_importance_sampling_correction": False}
