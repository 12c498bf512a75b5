"""Properties of every credit of the registry, and those of CRBC, PGPO and GraphGPO, on drawn batches."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgym_hindsight.baselines.methods import RECIPES, recipe
from agentgym_hindsight.baselines.methods.crbc import BellmanClosure, action_values
from agentgym_hindsight.baselines.methods.credit import group_advantages, step_returns
from agentgym_hindsight.baselines.methods.graphgpo import ShortestPaths, distances
from agentgym_hindsight.baselines.methods.pgpo import Potential
from agentgym_hindsight.baselines.methods.rows import Array, Rows
from agentgym_hindsight.baselines.methods.step_graph import SUCCESS, StepGraph
from agentgym_hindsight.errors import UsageError
from tests.baselines.methods.strategies import batches, batches_with_values, numbers, property_test, reordered

#: One method for each different credit.
CREDITS = {str(recipe(name).credit): recipe(name).credit for name in RECIPES}
BETAS = st.sampled_from([0.0, 0.5, 0.98, 1.0])


def rows_as_arrays(values: Any) -> list[Array]:
    """One array per row, of a credit (B,) or of one with a value per token."""
    return [np.atleast_1d(value) for value in values]


def step_part(credit: Any, rows: Rows) -> Array:
    """The credit without its episode term."""
    return credit(rows) - group_advantages(rows, credit.penalty, credit.statistics, credit.scale).astype(np.float32)


# ---------------------------------------------------------------- all credits


@pytest.mark.slow
@property_test
@given(rows=batches_with_values(), seed=st.integers(0, 2**32 - 1))
def test_the_order_of_rows_does_not_matter_and_credit_is_finite(rows: Rows, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(rows))
    for credit in CREDITS.values():
        whole = rows_as_arrays(credit(rows))
        for row, values in zip(order, rows_as_arrays(credit(reordered(rows, order))), strict=True):
            np.testing.assert_allclose(values, whole[row], atol=2e-5, rtol=1e-5, err_msg=str(credit))
            assert values.dtype == np.float32
            assert np.isfinite(values).all()


@property_test
@given(rows=batches_with_values())
def test_tasks_share_nothing_unless_the_credit_says_so(rows: Rows) -> None:
    for credit in CREDITS.values():
        if getattr(credit, "whole_batch", False) and getattr(credit, "whiten", False):
            continue
        whole = rows_as_arrays(credit(rows))
        for group in np.unique(rows.group):
            own = np.flatnonzero(rows.group == group)
            for row, values in zip(own.tolist(), rows_as_arrays(credit(reordered(rows, own))), strict=True):
                np.testing.assert_allclose(values, whole[row], atol=2e-5, rtol=1e-5, err_msg=str(credit))


@property_test
@given(rows=batches(), data=st.data())
def test_a_turn_may_occur_only_once(rows: Rows, data: st.DataObject) -> None:
    """A duplicated padding row would change the counts of every graph."""
    again = data.draw(st.integers(0, len(rows) - 1))
    with pytest.raises(UsageError, match="Expected every turn once"):
        reordered(rows, [*range(len(rows)), again])


# ---------------------------------------------------------------- CRBC


@property_test
@given(rows=batches(), beta=BETAS)
def test_crbc_solves_its_equation(rows: Rows, beta: float) -> None:
    graph = StepGraph(rows)
    values, pairs = action_values(graph, beta)
    assert ((values >= -1e-12) & (values <= max(beta, 0.0) + 1e-12)).all()
    # Σ μ(a|s) (Q − V) = 0: the mean over the visits of a state.
    assert np.abs(graph.mean_of_state(pairs[graph.action] - values[graph.state])).max() < 1e-10


@property_test
@given(rows=batches(), start=numbers(-2, 2))
def test_bellmans_iteration_converges_to_crbcs_values_from_any_start(rows: Rows, start: float) -> None:
    graph, beta = StepGraph(rows), 0.9
    values = np.linspace(start, 1, graph.visited)
    won, inner = graph.successor == SUCCESS, graph.successor >= 0
    for _ in range(300):
        after = np.where(inner, values[np.maximum(graph.successor, 0)], won)
        values = beta * np.bincount(graph.state, after) / np.bincount(graph.state)
    np.testing.assert_allclose(values, action_values(graph, beta)[0], atol=1e-10)


@property_test
@given(rows=batches(), beta=BETAS)
def test_crbc_compares_actions_only_where_there_is_a_choice(rows: Rows, beta: float) -> None:
    steps = BellmanClosure(beta=beta, w_group=0.0, w_step=1.0)(rows)
    actions: dict[tuple[int, str], set[str]] = defaultdict(set)
    credits: dict[tuple[int, str, str], set[float]] = defaultdict(set)
    for group, anchor, action, credit in zip(
        rows.group.tolist(), rows.anchors, rows.actions, steps.tolist(), strict=True
    ):
        actions[group, anchor].add(action)
        credits[group, anchor, action].add(credit)
    assert all(len(values) == 1 for values in credits.values()), "the turns of one action share one credit"
    for (group, anchor, _), values in credits.items():
        if len(actions[group, anchor]) == 1:
            assert values == {0.0}


@property_test
@given(rows=batches(rollouts=1))
def test_crbc_gives_a_lone_rollout_nothing_unless_it_returns_to_a_state(rows: Rows) -> None:
    steps = BellmanClosure(w_group=0.0)(rows)
    visits = Counter(zip(rows.group.tolist(), rows.anchors, strict=True))
    for group, anchor, credit in zip(rows.group.tolist(), rows.anchors, steps.tolist(), strict=True):
        assert credit == 0.0 or visits[group, anchor] > 1


@property_test
@given(rows=batches(), factor=st.sampled_from([0.1, 10.0, 1000.0]))
def test_crbc_depends_on_success_and_not_on_the_size_of_rewards(rows: Rows, factor: float) -> None:
    scaled = replace(rows, rewards=rows.rewards * factor, returns=rows.returns * factor)
    credit = BellmanClosure(w_group=0.0)
    assert np.array_equal(credit(rows), credit(scaled))


# ---------------------------------------------------------------- PGPO


@property_test
@given(rows=batches(won=True))
def test_pgpo_without_a_failure_is_the_step_return_alone(rows: Rows) -> None:
    assert np.array_equal(Potential()(rows), Potential(beta=0.0)(rows))


@property_test
@given(rows=batches(won=False), beta=numbers(0, 2))
def test_pgpo_weights_the_potential_fully_where_all_fail_and_it_is_zero(rows: Rows, beta: float) -> None:
    credit = Potential(beta=beta, penalty=0.0)
    _, weight = credit.changes(rows, StepGraph(rows), step_returns(rows, credit.gamma))
    assert weight.tolist() == [beta] * len(rows)
    assert credit(rows).tolist() == [0.0] * len(rows)


@property_test
@given(rows=batches())
def test_the_changes_of_the_potential_telescope(rows: Rows) -> None:
    returns = step_returns(rows, 0.95)
    change, _ = Potential().changes(rows, StepGraph(rows), returns)
    anchors = np.array(rows.anchors)
    for trajectory in np.unique(rows.trajectory):
        members = np.flatnonzero(rows.trajectory == trajectory)
        first = members[np.argmin(rows.place[members])]
        same = (rows.group == rows.group[first]) & (anchors == anchors[first])
        final = rows.rewards[members[np.argmax(rows.place[members])]]
        assert change[members].sum() == pytest.approx(final - returns[same].mean(), abs=1e-9)


@property_test
@given(rows=batches())
def test_of_two_actions_at_an_anchor_pgpo_prefers_that_with_the_higher_successor(rows: Rows) -> None:
    graph, returns = StepGraph(rows), step_returns(rows, 0.95)
    change, _ = Potential().changes(rows, graph, returns)
    potential = graph.mean_of_state(returns[graph.rows])
    ordered = change[graph.rows]
    for state in range(graph.visited):
        turns = np.flatnonzero((graph.state == state) & (graph.successor >= 0))
        after = potential[graph.successor[turns]]
        np.testing.assert_allclose(np.diff(ordered[turns]), np.diff(after), atol=1e-9)


# ---------------------------------------------------------------- GraphGPO


def plain_distances(rows: Rows) -> tuple[dict[tuple[int, str], int], list[tuple[tuple[int, str], Any]]]:
    """Shortest distances to success by relaxation of every edge, and the edges; unreachable nodes are absent."""
    by_turn = {(t, p): i for i, (t, p) in enumerate(zip(rows.trajectory.tolist(), rows.place.tolist(), strict=True))}
    nodes = list(zip(rows.group.tolist(), rows.anchors, strict=True))
    edges: list[tuple[tuple[int, str], Any]] = []
    for (trajectory, place), row in by_turn.items():
        following = by_turn.get((trajectory, place + 1))
        if following is not None:
            edges.append((nodes[row], nodes[following]))
        else:
            edges.append((nodes[row], "success" if rows.won[row] else (nodes[row][0], rows.next_anchors[row])))
    distance: dict[Any, int] = {"success": 0}
    for _ in edges:
        for node, after in edges:
            if after in distance:
                distance[node] = min(distance.get(node, distance[after] + 1), distance[after] + 1)
    return distance, edges


@property_test
@given(rows=batches())
def test_graphgpos_distances_are_shortest_and_zero_only_at_success(rows: Rows) -> None:
    plain, edges = plain_distances(rows)
    graph = StepGraph(rows)
    found = distances(graph)
    assert (found >= 1).all()
    farthest = Counter[int]()
    for node, length in plain.items():
        if node != "success":
            farthest[node[0]] = max(farthest[node[0]], length)
    nodes = {
        (rows.group[r], rows.anchors[r]): s for r, s in zip(graph.rows.tolist(), graph.state.tolist(), strict=True)
    }
    for (group, anchor), state in nodes.items():
        assert found[state] == plain.get((group, anchor), farthest[group] + 1)
    for node, after in edges:
        if node in plain and after in plain:
            assert plain[node] <= plain[after] + 1


@property_test
@given(rows=batches(), normalize=st.booleans())
def test_graphgpo_prefers_the_turn_that_leads_closer_to_success(rows: Rows, normalize: bool) -> None:
    credit = ShortestPaths(omega=1.0, penalty=0.0, normalize_distance=normalize)
    graph, steps = StepGraph(rows), step_part(credit, rows)
    found = distances(graph)
    after = np.where(graph.next_state == SUCCESS, 0, found[np.maximum(graph.next_state, 0)])
    ordered = steps[graph.rows]
    for state in range(graph.visited):
        turns = np.flatnonzero(graph.state == state)
        for one in turns:
            for other in turns:
                if after[one] < after[other]:
                    assert ordered[one] >= ordered[other]
                    if after[one] < 4:  # at γ = 0.1, returns further away differ by less than the rounding of float32
                        assert ordered[one] > ordered[other]


@property_test
@given(rows=batches(won=False))
def test_where_all_fail_no_graph_gives_step_credit(rows: Rows) -> None:
    assert BellmanClosure(w_group=0.0)(rows).tolist() == [0.0] * len(rows)
    assert step_part(ShortestPaths(), rows).tolist() == [0.0] * len(rows)


@property_test
@given(rows=batches(), gamma=numbers(0.1, 1))
def test_normalised_distances_give_the_whole_reward_on_every_shortest_path(rows: Rows, gamma: float) -> None:
    plain, edges = plain_distances(rows)
    graph = StepGraph(rows)
    returns = ShortestPaths(gamma=gamma, normalize_distance=True).graph_returns(graph)
    for row, (node, after) in enumerate(edges):
        if after in plain and plain[node] == plain[after] + 1:
            assert returns[row] == pytest.approx(10.0)
