"""CRBC, PGPO and GraphGPO: values computed by two routes outside of this library, and properties of the formulas."""

from __future__ import annotations

from collections.abc import Callable

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
from tests.baselines.methods.two_rollouts import two_rollouts

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


def test_crbc_compares_the_visits_of_one_rollout_that_returns_to_a_state() -> None:
    rows = Rows(
        group=[0] * 3, trajectory=[0] * 3, place=[0, 1, 2], returns=[1.0] * 3, rewards=[0.0, 0.0, 1.0],
        invalid=[False] * 3, anchors=("s", "s", "t"), actions=("look", "go", "take"),
        next_anchors=("s", "t", "end"), won=[True] * 3,
    )  # fmt: skip
    step = BellmanClosure(w_group=0.0, w_step=1.0)(rows)
    assert step[0] < 0 < step[1]  # the look that changed nothing costs a step
    assert step[2] == 0


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
