"""Spans, parsing, credits, weights, losses and batches against those of SERL's release, on random input."""

from __future__ import annotations

import random
from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")

from agentgym_hindsight.baselines.methods import recipe  # noqa: E402
from agentgym_hindsight.baselines.methods.recorded import rows_of_rollouts  # noqa: E402
from agentgym_hindsight.baselines.methods.signals import gap, reweight  # noqa: E402
from agentgym_hindsight.baselines.training.released_batching import balanced_parts  # noqa: E402
from agentgym_hindsight.hindsight.trajectory import Group  # noqa: E402
from agentgym_hindsight.wrappers import parse_response  # noqa: E402
from agentgym_hindsight.wrappers.released_spans import released_action_spans  # noqa: E402
from tests.release.released_code import needs_release, released  # noqa: E402
from tests.release.test_contexts import random_group  # noqa: E402

pytestmark = [needs_release, pytest.mark.slow]

BATCHED = pytest.mark.parametrize("batched", [False, True], ids=["in order", "with copies and in another order"])
SCALES = {"mean_norm": "none", "mean_std_norm": "std"}
PIECES = (
    "<action>", "</action>", "<ACTION>", "</Action>", "<action type='x'>", "[action>", "action>", "<actions>",
    "</action >", "<think>", "</think>", "go east", " look ", "search[red shoes]", "click[buy now]", "click[", "]",
    "\n", " ", "日", "İ", "ß", "<code>", "</code>", "print(1)\n", "  x = 1", "action", "<", ">",
)  # fmt: skip


def replies(number: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return ["".join(rng.choices(PIECES, k=rng.randint(0, 9))) for _ in range(number)]


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Any:
    def say(what: str, compared: int, different: int) -> None:
        with capsys.disabled():
            print(f"\n{what}: {compared} compared, {different} differ")

    return say


def test_the_spans_of_actions(report: Any) -> None:
    find = released("recipe/serl/serl_ray_trainer.py").RaySERLTrainer._find_action_spans
    texts = replies(40_000, 0)
    different = [text for text in texts if list(released_action_spans(text)) != find(text)]
    report("action spans", len(texts), len(different))
    assert not different, different[0]


@pytest.mark.parametrize(
    ("world", "parser"), [("alfworld", "verl-agent-2025"), ("webshop", "verl-agent-2025"), ("appworld", "code-tags")]
)
def test_the_actions_of_replies(world: str, parser: str, report: Any) -> None:
    project = getattr(released(f"agent_system/environments/env_package/{world}/projection.py"), f"{world}_projection")
    texts = replies(40_000, 1)
    more = ([[]] * len(texts),) if world == "alfworld" else ()
    actions, valid = project(list(texts), *more)
    different = []
    for text, action, is_valid in zip(texts, actions, valid, strict=True):
        ours = parse_response(text, parser, world=world)
        if (ours.text, ours.valid) != (action, bool(is_valid)):
            different.append((text, (ours.text, ours.valid), (action, is_valid)))
    report(f"actions, {world}", len(texts), len(different))
    assert not different, different[0]


Place = tuple[int, int, int]


def places_of(groups: list[Group]) -> list[Place]:
    return [(g, m, p) for g, group in enumerate(groups) for m, each in enumerate(group) for p in range(len(each))]


def batch_order(groups: list[Group], seed: int) -> list[Place]:
    """All turns, some of them twice, in any order."""
    rng, places = random.Random(seed), places_of(groups)
    order = places + rng.choices(places, k=rng.randint(0, 6))
    rng.shuffle(order)
    return order


def columns(groups: list[Group], order: list[Place], length: int = 3) -> dict[str, Any]:
    """The rows of groups as the release has them: a reward at the last token, and who belongs to whom."""
    turns = [(g, m, groups[g][m].steps[p]) for g, m, p in order]
    rewards = torch.zeros(len(turns), length)
    for row, (g, m, _) in enumerate(turns):
        rewards[row, -1] = groups[g][m].total_reward
    return {
        "rewards": rewards,
        "mask": torch.ones(len(turns), length),
        "index": np.array([f"group {g}" for g, _, _ in turns], object),
        "traj": np.array([f"rollout {g} {m}" for g, m, _ in turns], object),
        "anchors": np.array([step.observation for _, _, step in turns], object),
        "invalid": torch.tensor([not step.action_valid for _, _, step in turns]),
        "step_rewards": np.array([step.reward for _, _, step in turns], np.float32),
    }


def groups_of(seed: int) -> list[Group]:
    rng = random.Random(seed)
    return [random_group(rng, f"t{number}", damaged=True, empty=True) for number in range(3)]


def ours(
    name: str,
    groups: list[Group],
    order: list[Place],
    anchor: str = "observation",
    ratio: float = 0.95,
    **options: Any,
) -> Any:
    """The credit of every row of the batch."""
    places = places_of(groups)
    positions = [tuple(k for k, each in enumerate(order) if each == place) for place in places]
    given = None if order == places else positions
    rows = rows_of_rollouts([list(group) for group in groups], anchor, ratio, released=True, positions=given)
    credit = np.asarray(recipe(name).changed(anchor=anchor, **options).credit(rows))
    return np.array([credit[places.index(place)] for place in order])


def relative(mine: Any, theirs: Any, given: dict[str, Any]) -> float:
    """The largest difference; above 1, as a share of the value: a deviation is divided by a std of 0 plus 1e-6.

    Without groups of equal scores: there the release divides rounding errors by each other, and ours is 0.
    """
    scores = given["rewards"].sum(dim=-1).numpy()
    spread = {group: np.ptp(scores[given["index"] == group]) for group in set(given["index"])}
    counts = np.array([spread[group] > 1e-5 for group in given["index"]])
    difference = np.abs(mine - theirs) / np.maximum(1.0, np.abs(theirs))
    return float(difference[counts].max(initial=0.0))


@pytest.mark.parametrize("penalty", [0.0, 0.1])
@pytest.mark.parametrize("statistics", ["rows", "first_rows"])
@pytest.mark.parametrize("name", ["grpo", "rloo"])
@BATCHED
def test_group_advantages(batched: bool, name: str, statistics: str, penalty: float, report: Any) -> None:
    algorithms = released("verl/trainer/ppo/core_algos.py")
    compute = getattr(algorithms, f"compute_{name}_outcome_advantage")
    compared, worst = 0, 0.0
    for seed in range(150):
        groups = groups_of(seed)
        order = batch_order(groups, seed) if batched else places_of(groups)
        given = columns(groups, order)
        given["rewards"][:, -1] -= penalty * given["invalid"]
        theirs, _ = compute(
            given["rewards"].clone(), given["mask"], given["index"], given["traj"],
            compute_mean_std_cross_steps=statistics == "rows",
        )  # fmt: skip
        mine = ours(name, groups, order, statistics=statistics, penalty=penalty)
        compared += len(mine)
        worst = max(worst, relative(mine, theirs[:, 0].numpy(), given))
    report(
        f"{name}, {statistics}, penalty {penalty}, {batched=}, largest difference {worst:.1e}",
        compared,
        int(worst > 1e-4),
    )
    assert worst <= 1e-4


def step_returns(module: Any, groups: list[Group], order: list[Place]) -> Any:
    """Computed before the batch gets copies and another order, as in the release."""
    places = places_of(groups)
    given = columns(groups, places)
    batch = SimpleNamespace(
        non_tensor_batch={
            "rewards": given["step_rewards"],
            "traj_uid": given["traj"],
            "active_masks": np.ones(len(given["traj"])),
        },
        batch={"input_ids": given["rewards"]},
    )
    returns = module.compute_step_discounted_returns(batch, 0.95) - 0.1 * given["invalid"]
    return returns[[places.index(place) for place in order]]


@pytest.mark.parametrize("anchor", ["observation", "similar"])
@pytest.mark.parametrize("mode", ["mean_norm", "mean_std_norm"])
@BATCHED
def test_gigpo(batched: bool, mode: str, anchor: str, report: Any) -> None:
    theirs = released("recipe/gigpo/core_gigpo.py")
    compared, worst = 0, 0.0
    for seed in range(150):
        groups = groups_of(seed)
        order = batch_order(groups, seed) if batched else places_of(groups)
        given = columns(groups, order)
        returns = step_returns(theirs, groups, order)
        given["rewards"][:, -1] -= 0.1 * given["invalid"]
        scores, _ = theirs.compute_gigpo_outcome_advantage(
            given["rewards"].clone(), returns, given["mask"], given["anchors"], given["index"], given["traj"],
            mode=mode, enable_similarity=anchor == "similar", similarity_thresh=0.8,
        )  # fmt: skip
        mine = ours("gigpo", groups, order, anchor, 0.8, scale=SCALES[mode], penalty=0.1)
        compared += len(mine)
        worst = max(worst, relative(mine, scores[:, 0].numpy(), given))
    report(f"gigpo, {mode}, {anchor}, {batched=}, largest difference {worst:.1e}", compared, int(worst > 1e-4))
    assert worst <= 1e-4


@pytest.mark.parametrize("base_group", [False, True])
@pytest.mark.parametrize("mode", ["mean_norm", "mean_std_norm"])
def test_hgpo(mode: str, base_group: bool, report: Any) -> None:
    theirs = released("recipe/hgpo/core_hgpo.py")
    compared, worst = 0, 0.0
    for seed in range(150):
        groups = groups_of(seed)
        order = places_of(groups)
        given = columns(groups, order)
        returns = step_returns(theirs, groups, order)
        given["rewards"][:, -1] -= 0.1 * given["invalid"]
        scores, _ = theirs.compute_hgpo_outcome_advantage(
            given["rewards"].clone(), returns, given["mask"], given["anchors"], given["index"], given["traj"],
            history_length=2, mode=mode, base_group=base_group,
        )  # fmt: skip
        mine = ours("hgpo", groups, order, scale=SCALES[mode], penalty=0.1, base_group=base_group)
        compared += len(mine)
        worst = max(worst, relative(mine, scores[:, 0].numpy(), given))
    report(f"hgpo, {mode}, {base_group=}, largest difference {worst:.1e}", compared, int(worst > 1e-4))
    assert worst <= 1e-4


def test_the_weights_of_tokens(report: Any) -> None:
    compute = released("verl/trainer/ppo/core_algos.py").compute_serl_action_mask_reweighted_advantages
    generator = torch.Generator().manual_seed(0)
    compared, worst = 0, 0.0
    schedule = recipe("serl").when
    for update in range(500):
        size = (4, 6)
        advantages = torch.randn(4, 1, generator=generator).repeat(1, 6)
        advantages[0] = 0.0
        student, teacher = (torch.randn(size, generator=generator) * 8 for _ in range(2))
        mask = torch.rand(size, generator=generator) < 0.8
        chosen = (torch.rand(size, generator=generator) < 0.5) & mask
        with_context = torch.rand(4, generator=generator) < 0.7
        config = {"weight_clip": 0.2, "mixing_lambda": 0.5, "lambda_decay_steps": 50}
        theirs, _ = compute(
            advantages=advantages, student_log_probs=student, teacher_log_probs=teacher,
            response_mask=mask.float(), serl_config=config, update_step=update % 60,
            serl_mask=with_context.float(), serl_action_mask=chosen.float(),
        )  # fmt: skip
        mine = reweight(
            advantages, gap(teacher, student), chosen & with_context[:, None], schedule(update % 60), clip=0.2
        )
        compared += mask.sum().item()
        worst = max(worst, float(((mine - theirs) * mask).abs().max()))
    report(f"weights of tokens, largest difference {worst:.1e}", compared, int(worst > 1e-6))
    assert worst <= 1e-6


def test_balanced_parts(report: Any) -> None:
    balance = released("verl/utils/seqlen_balancing.py").get_seqlen_balanced_partitions
    rng = random.Random(0)
    different = []
    for _ in range(400):
        parts = rng.choice((2, 4, 8))
        lengths = [rng.randint(1, rng.choice((5, 300))) for _ in range(parts * rng.randint(1, 30))]
        theirs = [sorted(part) for part in balance(lengths, k_partitions=parts, equal_size=True)]
        if Counter(map(tuple, balanced_parts(lengths, parts))) != Counter(map(tuple, theirs)):
            different.append(lengths)
    report("balanced parts", 400, len(different))
    assert not different, different[0]
