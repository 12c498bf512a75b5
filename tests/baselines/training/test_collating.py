"""Rows as tensors: prompts are padded left, responses right, and missing values are masked."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch

from agentgym_hindsight.baselines.training.collating import credit_tensors, no_rows, text_tensors
from agentgym_hindsight.baselines.training.importance import importance_ratio
from agentgym_hindsight.baselines.training.training_row import TrainingRow
from agentgym_hindsight.hindsight.trajectory import Step


def _row(prompt: tuple[int, ...], response: tuple[int, ...], advantage: float, **more: object) -> TrainingRow:
    step = Step(0, "a room", "look", "a room", "a room")
    row = TrainingRow(0, 0, step, prompt, response, (0.0,) * len(response), (True,) * len(response), advantage)
    for name, value in more.items():
        setattr(row, name, value)
    return row


ROWS = [
    _row((1, 2, 3), (4, 5), 1.5, teacher_ids=(7, 8), teacher_logps=torch.tensor([-0.5, -1.0])),
    _row((6,), (7, 8, 9), -1.0),
]


def test_prompts_are_padded_left_and_responses_right() -> None:
    inputs = text_tensors(ROWS, pad=0)
    assert inputs["prompt_ids"].tolist() == [[1, 2, 3], [0, 0, 6]]
    assert inputs["prompt_mask"].tolist() == [[1, 1, 1], [0, 0, 1]]
    assert inputs["completion_ids"].tolist() == [[4, 5, 0], [7, 8, 9]]
    assert inputs["completion_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert text_tensors(ROWS[:1], pad=0, teacher=True)["prompt_ids"].tolist() == [[7, 8]]


def test_tokens_of_rows_without_a_teacher_are_not_chosen() -> None:
    inputs = credit_tensors(ROWS, pad=0, teacher_prompts=True)
    assert inputs["advantages"].tolist() == [1.5, -1.0]
    assert inputs["chosen"].tolist() == [[True, True, False], [False, False, False]]
    assert inputs["teacher_logps"].tolist() == [[-0.5, -1.0, 0.0], [0.0, 0.0, 0.0]]
    assert inputs["teacher_ids"].tolist() == [[7, 8], [0, 6]]  # its own prompt in place of the teacher's
    assert "teacher_logps" not in credit_tensors(ROWS[1:], pad=0)


def test_an_empty_batch_is_one_masked_token() -> None:
    inputs = no_rows(pad=3)
    assert inputs["completion_ids"].tolist() == [[3]]
    assert inputs["completion_mask"].sum() == 0
    assert not inputs["chosen"].any()
    assert inputs.keys() >= text_tensors(ROWS, 0).keys() | credit_tensors(ROWS[1:], 0, teacher_prompts=True).keys()


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("token_truncate", [[0.5, 1.5, 1.0]]),
        ("token_mask", [[0.0, 0.0, 1.0]]),
        ("sequence_truncate", [[1.0]]),
        ("sequence_mask", [[1.0]]),
    ],
)
def test_importance_by_hand(mode: str, expected: list[list[float]]) -> None:
    """Ratios 1/4, 4 and a masked 9; the product without the masked one is 1. NaN from the sampler gives ratio 1."""
    trained = torch.log(torch.tensor([[0.1, 0.8, 0.9]]))
    sampled = torch.log(torch.tensor([[0.4, 0.2, 0.1]]))
    result = importance_ratio(trained, sampled, torch.tensor([[1, 1, 0]]), mode=mode, low=0.5, high=1.5)
    assert result.tolist() == [pytest.approx(row) for row in expected]
    missing = torch.full_like(sampled, float("nan"))
    ones = importance_ratio(trained, missing, torch.ones(1, 3), mode="token_mask", low=0.5, high=1.5)
    assert ones.tolist() == [[1.0, 1.0, 1.0]]
    assert importance_ratio(trained, sampled, torch.ones(1, 3), mode="token_truncate", low=None, high=None).shape == (
        1,
        3,
    )
