"""The embedded desks: how many tasks, that references solve them, and that wrong work is refused."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator

import pytest

from agentgym_hindsight.envs.tau.desk import DOMAINS, Desk, DeskTask
from agentgym_hindsight.envs.tau.embedded import embedded_desk
from agentgym_hindsight.envs.tau.embedded.shop_tasks import SHOP_KINDS
from agentgym_hindsight.envs.tau.embedded.travel_tasks import TRAVEL_KINDS
from agentgym_hindsight.envs.tau.rewards import evaluate
from agentgym_hindsight.envs.tau.store import Database
from tests.envs.tau.wrong_variants import played, wrong_variants

KINDS = {"retail": SHOP_KINDS, "airline": TRAVEL_KINDS}


@pytest.mark.parametrize("domain", DOMAINS)
def test_there_are_enough_tasks_and_no_split_shares_one(domain: str) -> None:
    desk = embedded_desk(domain, 0)
    counts = {split: len(tasks) for split, tasks in desk.tasks.items()}
    assert sum(counts.values()) >= 500
    assert min(counts.values()) >= 150
    people = {split: {task.user_id for task in tasks} for split, tasks in desk.tasks.items()}
    assert not people["train"] & people["valid"] | people["train"] & people["test"] | people["valid"] & people["test"]
    for tasks in desk.tasks.values():
        assert {task.kind for task in tasks} == set(KINDS[domain])
        assert len({(task.instruction, str(task.actions)) for task in tasks}) == len(tasks)


@pytest.mark.parametrize("rules", ["official", "strict"])
@pytest.mark.parametrize("domain", DOMAINS)
def test_every_reference_solves_its_task_without_a_failing_call(domain: str, rules: str) -> None:
    desk = embedded_desk(domain, 0)
    for tasks in desk.tasks.values():
        for task in tasks if rules == "official" else tasks[::4]:
            database = Database(desk.initial)
            for name, arguments in task.actions:
                assert not desk.call(database, name, arguments, rules).failed, (task.kind, name)
            assert evaluate(desk, task, database, [" ".join(task.outputs)], rules).reward == 1.0


@pytest.mark.parametrize("domain", DOMAINS)
def test_wrong_variants_of_every_kind_are_refused(domain: str) -> None:
    desk = embedded_desk(domain, 0)
    refused: dict[str, set[str]] = defaultdict(set)
    for kind, name in refused_variants(desk, desk.tasks["train"][::9]):
        refused[kind].add(name)
    assert set(refused) == set(KINDS[domain])
    assert min(map(len, refused.values())) >= 3, refused


@pytest.mark.slow
@pytest.mark.parametrize(("domain", "count"), [("retail", 13_367), ("airline", 9_938)])
def test_wrong_variants_of_every_task_are_refused(domain: str, count: int) -> None:
    desk = embedded_desk(domain, 0)
    assert sum(1 for tasks in desk.tasks.values() for _ in refused_variants(desk, tasks)) == count


def refused_variants(desk: Desk, tasks: Iterable[DeskTask]) -> Iterator[tuple[str, str]]:
    """Play the wrong variants of the tasks: kinds and names of the variants."""
    for task in tasks:
        for name, calls, said in wrong_variants(desk, task):
            assert played(desk, task, calls, said, "strict") == 0.0, (task.kind, name)
            yield task.kind, name


def test_a_seed_makes_the_same_desk_and_another_seed_another() -> None:
    embedded_desk.cache_clear()
    one = embedded_desk("retail", 0)
    first_hash = one.initial.hash
    embedded_desk.cache_clear()
    assert embedded_desk("retail", 0).initial.hash == first_hash
    assert embedded_desk("retail", 1).initial.hash != first_hash
    assert embedded_desk("retail", 1).source == "embedded-1"


@pytest.mark.parametrize("domain", DOMAINS)
def test_nothing_of_the_benchmarks_data_is_in_the_embedded_desks(domain: str) -> None:
    text = json.dumps(embedded_desk(domain, 0).initial.tables)
    assert not any(name in text for name in ("HAT0", "example.com", "New York", "USA", "sara_doe", "JFK"))
