"""Trackers run through TRL: our metrics are also in TensorBoard's event files."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("trl")
pytest.importorskip("tensorboard")

from agentgym_hindsight.baselines.run_log import RunLog
from agentgym_hindsight.baselines.training import trainer as trainers
from agentgym_hindsight.baselines.training.run import train
from tests.baselines.training.tiny_runs import HalfWonTrainer, make_run, save_start


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tracked")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setattr(trainers, "HindsightTrainer", HalfWonTrainer)
        start = save_start(folder / "policy")
        return train(make_run(start, plan={"updates": 2, "trl": {"report_to": "tensorboard"}}), folder / "run")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # TensorBoard's own
def test_every_metric_of_an_update_is_an_event(run: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (folder,) = {path.parent for path in run.rglob("events.out.tfevents.*")}
    events = EventAccumulator(str(folder))
    events.Reload()
    lines = RunLog(run, active=False).read("metrics")
    assert len(lines) == 2
    for name in ("success", "episode_turns", "lambda", "entropy", "seconds_rollout", "seconds_teacher"):
        result = events.Scalars(f"train/hindsight/{name}")
        assert [event.step for event in result] == [1, 2]
        assert [event.value for event in result] == pytest.approx([line[name] for line in lines], rel=1e-6)
    assert events.Scalars("train/loss"), "TRL's own metrics are also there"
