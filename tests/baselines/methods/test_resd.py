"""Resd: the bounded divergence, the weights of outcomes, the playbook, and what the teacher reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from agentgym_hindsight.baselines.analysers.playbook import Playbook  # noqa: E402
from agentgym_hindsight.baselines.analysers.reflections import Additions, Reflected, Reflection  # noqa: E402
from agentgym_hindsight.baselines.methods import recipe  # noqa: E402
from agentgym_hindsight.baselines.methods.evidence import Evidence  # noqa: E402
from agentgym_hindsight.baselines.methods.resd import success_weights  # noqa: E402
from agentgym_hindsight.baselines.methods.scripted_ask import ScriptedAsk  # noqa: E402
from agentgym_hindsight.errors import UsageError  # noqa: E402
from agentgym_hindsight.hindsight.trajectory import Group  # noqa: E402
from tests.baselines.methods.imitations import failed_and_won, scripted  # noqa: E402
from tests.baselines.methods.scored import batch_of, drawn, scores_of  # noqa: E402
from tests.baselines.methods.two_rollouts import two_rollouts  # noqa: E402

REFLECTION = json.dumps(
    {
        "reasoning": "long",
        "error_identification": "Ate it.",
        "root_cause_analysis": "None",
        "key_insight": "Fridges open.",
        "bullet_tags": [{"id": "p1", "tag": "helpful"}, {"id": 3, "tag": "harmful"}, {"id": "p2", "tag": "great"}],
    }
)


def slow_loss(student: list[float], teacher: list[float], k: int, floor: float, ceiling: float) -> float:
    s, t = ([exp(x) / sum(map(exp, logits)) for x in logits] for logits in (student, teacher))
    best = sorted(range(len(s)), key=lambda index: -s[index])[:k]
    s, t = ([*(p[i] for i in best), 1 - sum(p[i] for i in best)] for p in (s, t))
    return sum(a * log(a / min(max(b, floor * a), ceiling * a)) for a, b in zip(s, t, strict=True))


def test_the_ratio_of_teacher_to_policy_is_bounded() -> None:
    student, teacher, ids = drawn()
    teacher = 4 * teacher
    method = recipe("resd").changed(top_k=3, ceiling=1.5)
    losses = method.token_losses(batch_of(ids >= 0), scores_of(student, ids), scores_of(teacher, ids))
    for row in range(3):
        for place in range(4):
            wanted = slow_loss(student[row, place].tolist(), teacher[row, place].tolist(), 3, 0.2, 1.5)
            assert losses[row, place].item() == pytest.approx(wanted)
    unbounded = method.changed(floor=None, ceiling=None)
    assert not torch.allclose(
        losses, unbounded.token_losses(batch_of(ids >= 0), scores_of(student, ids), scores_of(teacher, ids))
    )
    # log(S/T̃) is at most log 5, so that one impossible token cannot dominate.
    low = torch.tensor([[[0.0, -60.0]]], dtype=torch.float64)
    even = torch.zeros(1, 1, 2, dtype=torch.float64)
    one = torch.zeros(1, 1, dtype=torch.long)
    bounded = recipe("resd").token_losses(batch_of(one == 0), scores_of(even, one), scores_of(low, one))
    assert bounded.item() == pytest.approx(0.5 * log(5) + 0.5 * log(0.5))
    with pytest.raises(UsageError, match="floor"):
        recipe("resd").changed(floor=2.0, ceiling=1.0)


def test_rare_outcomes_weigh_more_and_the_mean_is_one() -> None:
    weights = success_weights([True, False, False, False])
    assert weights.tolist() == pytest.approx([2.0, 2 / 3, 2 / 3, 2 / 3])  # (¾, ¼, ¼, ¼) / ⅜
    assert success_weights([True] * 3).tolist() == pytest.approx([1.0] * 3)
    assert success_weights([False] * 3).tolist() == pytest.approx([1.0] * 3)
    assert success_weights([True, False, False], 0, 0).tolist() == [1.0] * 3
    signals = recipe("resd").update_signals(
        two_rollouts(), np.zeros(7), Evidence([np.zeros(2), None, *[np.zeros(1)] * 5]), 1.0, {}
    )
    assert signals[1] is None
    assert signals[0].tolist() == pytest.approx([7 * 4 / 24] * 2)  # s = 3/7
    assert signals[6].tolist() == pytest.approx([7 * 3 / 24])


def answering(messages: Any) -> str:
    return (
        '{"operations": [{"type": "ADD", "content": "Open it."}]}'
        if "Insights:" in messages[1]["content"]
        else REFLECTION
    )


def test_the_teacher_reads_playbook_reflection_solution_and_feedback() -> None:
    method = recipe("resd")
    ask = ScriptedAsk(method, answering)
    ((failed, won),) = method.contexts([failed_and_won()], ask)
    assert failed[1].sources == ("success", "reflection", "immediate")
    assert "Ate it.\nFridges open." in failed[1].text
    assert won[0].sources == ("immediate",), "a winner is no solution for itself"
    assert [(analysis.kind, analysis.text) for _, analysis in ask.kept] == [("reflection", "Ate it.\nFridges open.")]
    assert [entry["text"] for entry in ask.memory["playbook"]] == ["Open it."]
    ask.update = 1
    ((failed, _),) = method.contexts([failed_and_won()], ask)
    assert "playbook" not in failed[1].sources, "the teacher reads a new playbook after four updates"
    ask.update = 4
    ((failed, won),) = method.contexts([failed_and_won()], ask)
    assert "[p1] Open it." in failed[1].text
    assert won[0].sources == ("success", "playbook", "immediate"), "from the buffer"
    assert ask.memory["playbook"][0]["helpful"] == 2
    assert json.loads(json.dumps(ask.memory)) == ask.memory, "checkpoints can contain it"


def test_two_processes_share_what_each_has_learnt() -> None:
    """Both end with the same memory, and a process alone with the memory that it had without sharing."""
    method = recipe("resd")
    other = REFLECTION.replace("Fridges open.", "Look twice.").replace("helpful", "harmful")

    def play(task: str, ask: ScriptedAsk) -> None:
        group = Group(rollout.replace(task_id=task) for rollout in failed_and_won())
        method.contexts([group], ask)

    def process(reflection: str, rule: str) -> ScriptedAsk:
        def answer(messages: Sequence[Mapping[str, str]]) -> str:
            curator = "Insights:" in messages[-1]["content"]
            return json.dumps({"operations": [{"type": "ADD", "content": rule}]}) if curator else reflection

        return ScriptedAsk(method, answer)

    processes = [process(REFLECTION, "Open it."), process(other, "Look twice.")]
    for update in range(3):
        for number, ask in enumerate(processes):
            ask.update = update
            play(f"task {number} {update}", ask)
        news = [{name: ask.memory["news"][name] for name in ("tags", "added", "solutions")} for ask in processes]
        for ask in processes:
            method.share_memory(ask.memory, lambda mine: list(news))  # noqa: B023  # called at once
        assert processes[0].memory == processes[1].memory
        assert "news" not in processes[0].memory
    memory = processes[0].memory
    assert list(memory["solutions"]) == [f"task {number} {update}" for update in range(3) for number in range(2)]
    assert {entry["text"] for entry in memory["playbook"]} <= {"Open it.", "Look twice."}

    alone, unshared = process(REFLECTION, "Open it."), process(REFLECTION, "Open it.")
    for update in range(3):
        for ask in (alone, unshared):
            ask.update = update
            play(f"task {update}", ask)
        method.share_memory(alone.memory, lambda mine: mine)
        unshared.memory.pop("news")
        assert alone.memory == unshared.memory


def test_a_process_without_news_learns_from_the_other() -> None:
    method = recipe("resd")
    busy, idle = ScriptedAsk(method, answering), ScriptedAsk(method, answering)
    method.contexts([failed_and_won()], busy)
    news = {name: busy.memory["news"][name] for name in ("tags", "added", "solutions")}
    for ask in (busy, idle):
        method.share_memory(ask.memory, lambda mine: [news, None])
    assert busy.memory["playbook"] == idle.memory["playbook"] != []
    assert busy.memory["solutions"] == idle.memory["solutions"]


def test_parts_can_be_switched_off() -> None:
    method = scripted("resd").changed(reflection=False, buffer=False, playbook_entries=0)
    ask = ScriptedAsk(method)
    ((failed, _),) = method.contexts([failed_and_won()], ask)
    assert failed[1].sources == ("success", "immediate")
    assert ask.memory == {}
    assert ask.kept == []


@pytest.mark.parametrize("answer", ["", "No idea.", "[]", '{"bullet_tags": "p1", "key_insight": 3}'])
def test_a_reflector_that_fails_costs_the_reflection(answer: str) -> None:
    assert Reflected(failed_and_won()[0]).read(answer) == Reflection()
    method = recipe("resd")
    ask = ScriptedAsk(method, lambda messages: answer)
    ((failed, _),) = method.contexts([failed_and_won()], ask)
    assert failed[1].sources == ("success", "immediate")
    assert "playbook" not in ask.memory


def test_answers() -> None:
    read = Reflected(failed_and_won()[0]).read(REFLECTION)
    assert read == Reflection("Ate it.\nFridges open.", "Fridges open.", {"p1": "helpful"})
    additions = Additions(["a", "a", "b"])
    assert additions.scripted() == ["a", "b"]
    assert additions.read('{"operations": [{"type": "DROP", "content": "x"}, {"content": "y"}, 3]}') == ["y"]
    assert "Insights:" in additions.messages()[1]["content"]


def test_a_playbook_keeps_its_most_useful_rules() -> None:
    memory: dict[str, Any] = {}
    book = Playbook(memory, most=3)
    book.add(["a", "b", "c", "A ", ""])
    book.tag({"p1": "helpful", "p3": "neutral", "p9": "harmful"})
    book.add(["d"])
    assert [entry["text"] for entry in book.entries] == ["a", "c", "d"], "of equals the oldest goes"
    book.tag({"p1": "harmful", "p3": "harmful"})
    assert [entry["text"] for entry in book.entries] == ["d"]
    book.add(["e"])
    assert book.text() == "[p4] d\n[p5] e", "ids are not used again"
    assert book.text(most=8) == "[p4] d"


def test_an_update_and_its_memory(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    from tests.baselines.training.tiny_runs import make_trainer
    from tests.baselines.training.trainer_probes import step

    trainer = make_trainer(scripted("resd"), tmp_path)
    assert torch.isfinite(step(trainer))
    assert len(trainer.memory["solutions"]) == 2
    assert trainer.memory["playbook"]
