"""The teacher's prompts of the release's modes, from random rollouts, against those of the release itself."""

from __future__ import annotations

import random
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")

from agentgym_hindsight.baselines.methods import recipe  # noqa: E402
from agentgym_hindsight.baselines.training.context_settings import ContextSettings  # noqa: E402
from agentgym_hindsight.hindsight.context import compose  # noqa: E402
from agentgym_hindsight.hindsight.spec import SERL_MODES  # noqa: E402
from agentgym_hindsight.hindsight.trajectory import Group, Step, Trajectory  # noqa: E402
from agentgym_hindsight.wrappers import parse_response  # noqa: E402
from tests.release.released_code import needs_release, released  # noqa: E402

pytestmark = [needs_release, pytest.mark.slow]
BATCHES = 60

PLACES = (
    "a hall",
    "A hall ",
    "a kitchen with\na fridge 1",
    "a hall with a very long carpet",
    "a hall with a very long carpet!",
)
FEEDBACK = ("Nothing happens.", "You open the fridge 1.", "  ", "", "You open\n the fridge 1. ")
CLEAN = (
    "<think>East.</think><action>go east</action>",
    "<think>\nLook.\n</think>\n<action> Look </action>",
    "<think>a</think><think>b</think> <action>open  fridge 1</action>",
    "<action>go\neast</action>",
)
DAMAGED = (
    "no tags at all",
    "<think>only a thought</think>",
    "<action></action>",
    "<action>go east",
    "go east</action>",
    "<ACTION>Go East</ACTION> and <action>look</action>",
    "<think>never closed <action>look</action>",
    "",
    "   ",
    "<action>look</action></action>",
)


def random_group(rng: random.Random, task: str, damaged: bool, empty: bool) -> Group:
    replies = CLEAN + DAMAGED if damaged else CLEAN
    places = (*PLACES, "", " ") if empty else PLACES
    members = []
    for sibling in range(rng.randint(1, 4)):
        won = rng.random() < 0.4
        length = rng.randint(1, 5)
        steps = []
        for index in range(length):
            place, response = rng.choice(places), rng.choice(replies)
            parsed = parse_response(response)
            reward = 10.0 if won and index + 1 == length else rng.choice((0.0, 0.0, 0.25))
            steps.append(
                Step(
                    index,
                    place,
                    parsed.text,
                    rng.choice(FEEDBACK),
                    "",
                    reward=reward,
                    action_valid=parsed.valid,
                    prompt=rng.choice((f"Task {task}. Now: {place}", f"  Task {task}.\n{place}\n")),
                    response=response,
                    action_span=parsed.span,
                )
            )
        steps[-1] = replace(steps[-1], next_observation=rng.choice(FEEDBACK))
        members.append(Trajectory(task, steps=tuple(steps), won=won, score=float(won), sibling=sibling))
    return Group(members)


Place = tuple[int, int, int]


def batch_of(groups: list[Group], order: list[Place], judged: dict[tuple[int, int], str | None]) -> SimpleNamespace:
    """The batch of the release: one row for every place (group, member, turn) of the order."""
    columns: dict[str, list[Any]] = {}
    for number, member, place in order:
        trajectory = groups[number][member]
        step = trajectory.steps[place]
        next_text = trajectory.steps[place + 1].prompt if place + 1 < len(trajectory) else ""
        row = {
            "raw_prompt": [{"role": "user", "content": step.prompt}],
            "uid": f"group {number}",
            "traj_uid": f"rollout {number} {member}",
            "step_id": step.index,
            "anchor_obs": step.observation,
            "immediate_feedback": step.feedback,
            # The whole prompt of the next turn; after the last turn, what its env shows.
            "next_observation_text": next_text.strip() or step.next_observation.strip() or step.feedback,
            "episode_rewards": trajectory.total_reward,
            "episode_lengths": float(len(trajectory)),
            "rollout_success": trajectory.won,
            "is_action_valid": step.action_valid,
            "traj_judge_text": judged[number, member],
            "traj_judge_successful_sample_text": judged[number, member],
        }
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    return SimpleNamespace(non_tensor_batch=columns)


def compare(seed: int, *, damaged: bool, empty: bool, batched: bool) -> tuple[int, list[str]]:
    """The number of rows compared, and the differences."""
    theirs = released("recipe/serl/privileged_context.py")
    no_thinking = released("recipe/serl/serl_ray_trainer.py").RaySERLTrainer._remove_thinking_trace
    rng = random.Random(seed)
    groups = [random_group(rng, f"t{number}", damaged, empty) for number in range(2)]
    places = [(g, m, p) for g, group in enumerate(groups) for m, each in enumerate(group) for p in range(len(each))]
    order = list(places)
    if batched:
        order += [rng.choice(places) for _ in range(rng.randint(0, len(places)))]
        rng.shuffle(order)
    judged = {(g, m): rng.choice(("It succeeded.", " It failed. ", None)) for g, m, _ in places}
    settings = {
        "trajectory_format": rng.choice(("response", "observation_action")),
        "remove_thinking": rng.random() < 0.7,
        "self_success": rng.random() < 0.3,
        "max_traj_context_steps": rng.choice((0, 0, 2)),
        "max_future_context_steps": rng.choice((0, 0, 1)),
        "anchor_ratio": rng.choice((0.95, 0.8)),
    }
    similar = rng.random() < 0.3
    method = recipe("serl").changed(anchor="similar" if similar else "observation")
    options = ContextSettings(released=True, **settings).options(method)
    total, found = 0, []
    for mode, spec in SERL_MODES.items():
        config = {
            "sampling_mode": mode,
            "trajectory_format": settings["trajectory_format"],
            "remove_thinking_from_demonstration": settings["remove_thinking"],
            "dont_reprompt_on_self_success": not settings["self_success"],
            "max_traj_context_steps": settings["max_traj_context_steps"],
            "max_future_context_steps": settings["max_future_context_steps"],
            "anchor_enable_similarity": similar,
            "anchor_similarity_thresh": settings["anchor_ratio"],
        }
        batch = batch_of(groups, order, judged)
        messages, masks, _ = theirs.build_sampling_messages(
            batch,
            torch.zeros(len(order), 1),
            [groups[g][m].steps[p].response for g, m, p in order],
            config,
            lambda raw: raw,
            no_thinking,
        )
        ours = []
        for number, group in enumerate(groups):
            positions = [
                [tuple(k for k, place in enumerate(order) if place == (number, m, p)) for p in range(len(each))]
                for m, each in enumerate(group)
            ]
            judgements = [judged[number, member] for member in range(len(group))] if "judge" in spec else None
            ours.append(
                compose(spec, group, options=options, judgements=judgements, positions=positions if batched else None)
            )
        for (g, m, p), message, mask in zip(order, messages, masks, strict=True):
            context = ours[g][m][p]
            prompt = groups[g][m].steps[p].prompt
            total += 1
            if (context is not None) != bool(mask):
                found.append(f"{mode}, {settings}: ours {context}, theirs {message}")
            elif context is not None and context.prompt(prompt) != message[-1]["content"]:
                found.append(f"{mode}, {settings}:\n{context.prompt(prompt)!r}\n{message[-1]['content']!r}")
    return total, found


@pytest.mark.parametrize("batched", [False, True], ids=["in order", "with copies and in another order"])
@pytest.mark.parametrize(
    ("damaged", "empty"),
    [(False, False), (True, False), (True, True)],
    ids=["clean replies", "damaged replies", "damaged replies and empty observations"],
)
def test_the_prompts_of_the_teacher(
    damaged: bool, empty: bool, batched: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    total, found = 0, []
    for seed in range(BATCHES):
        count, differences = compare(seed, damaged=damaged, empty=empty, batched=batched)
        total += count
        found += differences
    with capsys.disabled():
        print(f"\ncontexts, damaged={damaged}, empty={empty}, batched={batched}: {total} rows, {len(found)} differ")
    assert not found, found[0]
