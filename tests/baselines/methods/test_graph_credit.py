"""CRBC, PGPO and GraphGPO: values computed by two routes outside of this library, and properties of the formulas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.methods.crbc import BellmanClosure, action_values
from agentgym_hindsight.baselines.methods.credit import group_advantages, step_returns
from agentgym_hindsight.baselines.methods.graphgpo import ShortestPaths, distances
from agentgym_hindsight.baselines.methods.pgpo import Potential
from agentgym_hindsight.baselines.methods.rows import Array, Rows
from agentgym_hindsight.baselines.methods.step_graph import FAILURE, SUCCESS, StepGraph
from agentgym_hindsight.errors import UsageError
from tests.baselines.methods.two_rollouts import random_rows, reordered, two_rollouts

CREDITS: dict[str, Callable[[Rows], Array]] = {
    "crbc": BellmanClosure(),
    "crbc/K=0": BellmanClosure(depth=0),
    "crbc/K=2": BellmanClosure(depth=2),
    "pgpo": Potential(),
    "graphgpo": ShortestPaths(),
    "graphgpo/normalised": ShortestPaths(normalize_distance=True),
}
EVERY = pytest.mark.parametrize("credit", CREDITS.values(), ids=CREDITS)
SEEDS = pytest.mark.parametrize("seed", range(25))


def close(values: Array, expected: list[float]) -> None:
    assert np.asarray(values).tolist() == pytest.approx(expected, abs=2e-6)


# ---------------------------------------------------------------- golden numbers


def test_crbc_values_and_step_advantages() -> None:
    graph = StepGraph(two_rollouts())
    values, pairs = action_values(graph, 0.98)
    close(values, [0.461459, 0.706315, 0.98, 0])
    close(pairs[graph.action] - values[graph.state], [0.230730, 0.254085, 0, 0.230730, -0.254085, -0.461459, 0])
    close(BellmanClosure().step_advantages(graph), [0.707107, 1, 0, 0.707107, -1, -1.414214, 0])


def test_crbc_final_advantages() -> None:
    close(
        BellmanClosure(statistics="trajectories")(two_rollouts()),
        [4.242641, 5.707107, 0.707107, 2.828427, -5.707107, -7.778174, -0.707107],
    )


def test_crbc_of_finite_depth() -> None:
    graph = StepGraph(two_rollouts())
    values, pairs = action_values(graph, 0.98, 0)
    close(values[:2], [0.313731, 0.480200])
    close(pairs[graph.action] - values[graph.state], [0.156865, 0.480200, 0, 0.156865, -0.480200, -0.313731, 0])
    # One more application of Bellman's equation each; the sequence converges to the solution.
    close(action_values(graph, 0.98, 2000)[0], action_values(graph, 0.98)[0].tolist())


def test_crbc_without_discount_is_solvable_in_spite_of_loops() -> None:
    close(action_values(StepGraph(two_rollouts()), 1.0)[0], [0.5, 0.75, 1, 0])


def test_pgpo() -> None:
    rows = two_rollouts()
    change, weight = Potential().changes(rows, StepGraph(rows), step_returns(rows, 0.95))
    close(change, [1.741667, 5.25, 0, 1.741667, -1.741667, -3.008333, 0])
    assert weight.tolist() == [0.25] * 7
    close(Potential()(rows), [1.299038, 0.883883, 0, -0.433013, -0.883883, -0.866025, 0])
    close(Potential(beta=0.0)(rows), [1.154700, 0.707107, 0, -0.577350, -0.707107, -0.577350, 0])


def test_graphgpo() -> None:
    rows = two_rollouts()
    close(distances(StepGraph(rows)), [3, 2, 1, 4, 4])
    close(ShortestPaths().graph_returns(StepGraph(rows)), [0.1, 1, 10, 0.1, 0.01, 0.001, 0.001])
    close(ShortestPaths(normalize_distance=True).graph_returns(StepGraph(rows)), [10, 10, 10, 10, 0.1, 0.1, 1])
    close(ShortestPaths()(rows), [1.646385, 1.776151, 1.069045, -0.224443, -1.508889, -1.956464, -0.801784])
    steps = ShortestPaths()(rows) - group_advantages(rows, 0.1, "rows", "std")
    close(steps, [0.577340, 0.707106, 0, 0.577340, -0.707106, -1.154680, 0])


def test_graphgpo_penalises_the_graph_only_on_request() -> None:
    rows = two_rollouts(invalid=[False, False, False, False, True, False, False])
    ours = ShortestPaths()(rows) - group_advantages(rows, 0.1, "rows", "std")
    close(ours, [0.577340, 0.707106, 0, 0.577340, -0.707106, -1.154680, 0])
    released = ShortestPaths(penalise_graph=True, scale="none", omega=1.0)(rows)
    # R^G of the invalid turn is 0.01 − 0.1 = −0.09; its anchor's mean is (1 − 0.09) / 2.
    assert released[4] - group_advantages(rows, 0.1, "rows", "none")[4] == pytest.approx(-0.545, abs=1e-6)


# ---------------------------------------------------------------- the graph


def test_the_graph_of_two_rollouts() -> None:
    graph = StepGraph(two_rollouts())
    assert (graph.visited, graph.action.tolist(), len(graph)) == (4, [0, 1, 2, 0, 3, 4, 5], 7)
    assert graph.state.tolist() == [0, 1, 2, 0, 1, 0, 3]
    assert graph.successor.tolist() == [1, 2, SUCCESS, 1, 0, 3, FAILURE]
    assert graph.next_state.tolist() == [1, 2, SUCCESS, 1, 0, 3, 4]


def test_the_same_text_in_two_groups_is_two_states() -> None:
    rows = two_rollouts(group=[0] * 3 + [1] * 4)
    graph = StepGraph(rows)
    assert (graph.state.tolist(), graph.group_of_state.tolist()) == ([0, 1, 2, 3, 4, 3, 5], [0] * 3 + [1] * 3)
    assert graph.next_state.tolist() == [1, 2, SUCCESS, 4, 3, 5, 6]


@pytest.mark.parametrize(
    ("name", "column"),
    [("crbc", "actions"), ("crbc", "won"), ("pgpo", "won"), ("graphgpo", "won"), ("graphgpo", "next_anchors")],
)
def test_a_missing_column_is_named(name: str, column: str) -> None:
    with pytest.raises(UsageError, match=f"rows with {column}"):
        CREDITS[name](two_rollouts(**{column: None}))


# ---------------------------------------------------------------- properties


@SEEDS
def test_crbc_solves_its_equation(seed: int) -> None:
    graph = StepGraph(random_rows(seed))
    values, pairs = action_values(graph, 0.98)
    assert ((values >= 0) & (values <= 0.98 + 1e-12)).all()
    mean = graph.mean_of_state(pairs[graph.action])
    assert np.abs(mean - values).max() < 1e-10  # the advantage of a state's actions has mean 0 over its visits
    close(action_values(graph, 0.98, 3000)[0], values.tolist())


@SEEDS
def test_crbc_depends_on_success_and_not_on_the_size_of_rewards(seed: int) -> None:
    rows = random_rows(seed)
    larger = replace(rows, rewards=rows.rewards * 10, returns=rows.returns * 10)
    step_only = BellmanClosure(w_group=0.0)
    assert np.array_equal(step_only(rows), step_only(larger))


@SEEDS
def test_where_all_fail_there_is_no_step_credit(seed: int) -> None:
    rows = random_rows(seed, "lost")
    zeros = np.zeros(len(rows))
    assert np.array_equal(BellmanClosure(w_group=0.0)(rows), zeros)
    assert np.array_equal(Potential(penalty=0.0)(rows), zeros)
    graph_only = ShortestPaths()(rows) - group_advantages(rows, 0.1, "rows", "std").astype(np.float32)
    assert np.abs(graph_only).max() == 0


def test_crbc_gives_nothing_to_the_only_action_of_a_state() -> None:
    # One rollout: each state is visited once, so nothing is compared.
    rows = reordered(two_rollouts(), [0, 1, 2])
    assert BellmanClosure(w_group=0.0)(rows).tolist() == [0, 0, 0]


def test_crbc_compares_the_visits_of_one_rollout_that_returns_to_a_state() -> None:
    rows = Rows(
        group=[0] * 3, trajectory=[0] * 3, place=[0, 1, 2], returns=[1.0] * 3, rewards=[0.0, 0.0, 1.0],
        invalid=[False] * 3, anchors=("s", "s", "t"), actions=("look", "go", "take"),
        next_anchors=("s", "t", "end"), won=[True] * 3,
    )  # fmt: skip
    step = BellmanClosure(w_group=0.0, w_step=1.0)(rows)
    assert step[0] < 0 < step[1]  # the look that changed nothing costs a step
    assert step[2] == 0


@SEEDS
def test_pgpo_without_a_failure_is_the_step_return_alone(seed: int) -> None:
    rows = random_rows(seed, "won")
    assert np.array_equal(Potential()(rows), Potential(beta=0.0)(rows))


@SEEDS
def test_the_potential_changes_sum_to_the_reward_minus_the_first_potential(seed: int) -> None:
    rows = random_rows(seed)
    returns = step_returns(rows, 0.95)
    change, _ = Potential().changes(rows, StepGraph(rows), returns)
    for trajectory in np.unique(rows.trajectory):
        members = np.flatnonzero(rows.trajectory == trajectory)
        first = members[np.argmin(rows.place[members])]
        same = (rows.group == rows.group[first]) & (np.array(rows.anchors) == rows.anchors[first])
        assert change[members].sum() == pytest.approx(rows.rewards[members].sum() - returns[same].mean(), abs=1e-9)


def test_pgpo_tells_two_failures_of_one_state_apart() -> None:
    rows = two_rollouts()
    # A third rollout leaves s1 for the state s3, from which nobody succeeded; τ2 left it for s0.
    third = Rows(
        group=[0] * 3, trajectory=[2] * 3, place=[0, 1, 2], returns=[0.0] * 3, rewards=[0.0] * 3,
        invalid=[False] * 3, anchors=("s0", "s1", "s3"), actions=("a", "g", "f"),
        next_anchors=("s1", "s3", "s4"), won=[False] * 3,
    )  # fmt: skip
    names = ("group", "trajectory", "place", "returns", "rewards", "invalid", "won")
    texts = ("anchors", "actions", "next_anchors")
    both = Rows(
        **{name: np.concatenate([getattr(rows, name), getattr(third, name)]) for name in names},
        **{name: (*getattr(rows, name), *getattr(third, name)) for name in texts},
    )
    credit = Potential()(both)
    assert credit[4] > credit[8]


@SEEDS
def test_distances_follow_every_turn(seed: int) -> None:
    graph = StepGraph(random_rows(seed))
    distance = distances(graph)
    farthest = np.zeros(3, int)  # the distance of states that lead nowhere, per group
    np.maximum.at(farthest, graph.group, distance[graph.state])
    for state, after, group in zip(graph.state.tolist(), graph.next_state.tolist(), graph.group.tolist(), strict=True):
        reached = 0 if after == SUCCESS else int(distance[after])
        assert 1 <= distance[state] <= reached + 1 or reached >= farthest[group]


@EVERY
@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_rows_does_not_matter(credit: Callable[[Rows], Array], seed: int) -> None:
    rows = random_rows(seed)
    order = np.random.default_rng(seed).permutation(len(rows))
    assert np.allclose(credit(reordered(rows, order)), credit(rows)[order], atol=1e-6)


@EVERY
def test_groups_are_independent(credit: Callable[[Rows], Array]) -> None:
    rows = random_rows(3)
    whole = credit(rows)
    for group in range(3):
        own = np.flatnonzero(rows.group == group)
        assert np.allclose(credit(reordered(rows, own)), whole[own], atol=1e-6)


@EVERY
def test_results_are_float32(credit: Callable[[Rows], Array]) -> None:
    assert credit(random_rows(1)).dtype == np.float32


# ---------------------------------------------------------------- recipes


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("crbc", {"beta": 0.98, "w_group": 1.0, "w_step": 5.0, "sigma_min": 0.1, "penalty": 0.1}),
        ("pgpo", {"gamma": 0.95, "potential_gamma": 1.0, "alpha": 2.0, "beta": 1.0}),
        ("graphgpo", {"gamma": 0.1, "omega": 1.0, "reward": 10.0}),
    ],
)
def test_recipes_have_the_values_of_their_papers(name: str, options: dict[str, float]) -> None:
    method = recipe(name)
    assert {option: getattr(method.credit, option) for option in options} == options
    assert (method.kl, method.has_teacher) == (0.01, False)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [("crbc", "beta", 1.5), ("crbc", "sigma_min", 0.0), ("crbc", "depth", -1), ("pgpo", "alpha", -1.0),
     ("pgpo", "potential_gamma", 2.0), ("graphgpo", "gamma", 1.1)],
)  # fmt: skip
def test_options_are_checked(name: str, option: str, value: float) -> None:
    with pytest.raises(UsageError, match=option):
        recipe(name).changed(**{option: value})
