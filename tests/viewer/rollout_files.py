"""Files of rollouts and of a training run, shared by the tests of this folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agentgym_hindsight.hindsight import Analysis, Step, Trajectory, write_jsonl
from agentgym_hindsight.hindsight.codec import dump_trajectory
from tests.baselines.report.faked import HOSTILE

HALL, GARDEN = "A hall with a door.", "A garden. The mug is here."


def won(sibling: int = 0, task: str = "9f", **more: Any) -> Trajectory:
    steps = (
        Step(0, HALL, "open door", "The door opens.", "The door opens.", anchor="s:closed", next_anchor="s:open",
             extra={"situation": "Location: hall. In hand: nothing.", "expert_action": "open door"}),
        Step(1, "The door opens.", "go", GARDEN, GARDEN, anchor="s:open", next_anchor="s:garden", reward=1.0,
             extra={"situation": "Location: door. In hand: nothing.", "judge": "Well walked."}),
    )  # fmt: skip
    return Trajectory(
        task, "ALFWorld-Hindsight-v0", "native/embedded", "Find the mug.", "pick", "train", 0, sibling, steps, True,
        score=1.0,
        policy="expert", extra={"situation": "Location: garden. In hand: nothing."}, **more,
    )  # fmt: skip


def lost(sibling: int = 1, task: str = "9f", **more: Any) -> Trajectory:
    steps = (
        Step(0, HALL, "open door", "The door opens.", "The door opens.", anchor="s:closed", next_anchor="s:open"),
        Step(1, "The door opens.", "look", "A door.", "A door.", anchor="s:open", next_anchor="s:open",
             action_valid=False, detail="You see the door already."),
    )  # fmt: skip
    notes = (Analysis("diagnosis", "It should have walked.", 1, "teacher"), Analysis("hint", "Walk.", None, "teacher"))
    return Trajectory(
        task, "ALFWorld-Hindsight-v0", "native/embedded", "Find the mug.", "pick", "train", 0, sibling, steps,
        truncated=True, policy="learner", analyses=notes, **more,
    )  # fmt: skip


def hostile(env: str = "ALFWorld-Hindsight-v0", sibling: int = 2) -> Trajectory:
    """A rollout each of whose texts tries to become markup."""
    extra = {
        "situation": f"Location: {HOSTILE}. In hand: x.",
        "judge": HOSTILE,
        "evaluation": f"passed: {HOSTILE}",
        HOSTILE: [HOSTILE],
    }
    texts = (HOSTILE, f'<tool_call>{{"name": "a", "arguments": {{"k": {json.dumps(HOSTILE)}}}}}</tool_call>')
    replies = (
        f"You arrive at desk 1. On the desk 1, you see a {HOSTILE}.",
        f"{HOSTILE} [SEP] {HOSTILE}",
        f"f: {json.dumps({HOSTILE: HOSTILE})}",
        f"User: {HOSTILE}",
    )
    steps = tuple(
        Step(
            number, f"{HOSTILE} On the desk 1, you see a {HOSTILE}.", texts[number % 2],
            replies[number],
            HOSTILE, (f"click[{HOSTILE}]",), f"s:{HOSTILE}", f"s:{HOSTILE}", detail=HOSTILE, prompt=HOSTILE,
            response=f"{HOSTILE}x", action_span=(0, 5), action_valid=False, extra=extra,
        )
        for number in range(4)
    )  # fmt: skip
    notes = (Analysis("hint", HOSTILE, 0, HOSTILE), Analysis("skill", HOSTILE, None, HOSTILE))
    return Trajectory(
        f"t/{HOSTILE}", env, HOSTILE, HOSTILE, HOSTILE, HOSTILE, 0, sibling, steps, broken=HOSTILE, policy=HOSTILE,
        extra={"situation": HOSTILE}, analyses=notes,
    )  # fmt: skip


def sample(trajectory: Trajectory, update: int = 0, text: str = "", **more: Any) -> dict[str, Any]:
    """A line of samples.jsonl as training writes it: a trajectory with the tokens of its turns."""
    record: dict[str, Any] = json.loads(dump_trajectory(trajectory))
    for step in record["steps"]:
        step["response"], step["action_span"] = f"<a>{text or step['action']}</a>", [3, 3 + len(text or step["action"])]
        step |= {
            "tokens": ["<a>", text or step["action"], "</a>"], "advantage": 0.5, "weights": [1.0, 1.1, 1.0],
            "gaps": [0.0, 0.7, 0.0], "logprobs": [-0.1, -1.2, -0.1], "teacher_logprobs": [-0.1, -0.5, -0.1],
            "entropies": [0.2, 0.9, 0.1], "chosen": [False, True, False], "mask_reason": "", "context_cut": True,
            "prompt_read": f"<|user|>{step['observation']}<|end|>",
            "context": "Immediate feedback:\nA [… 7 characters left out …]",
            "teacher_read": f"<|user|>{step['observation']} Immediate feedback:\nA [… 7 characters left out …]<|end|>",
            "context_uncut": "Immediate feedback:\nA garden", "analyses": [],
        }  # fmt: skip
    return {
        **record,
        "update": update,
        "return": trajectory.total_reward,
        "lambda": 0.5,
        "weight_bounds": [0.8, 1.2],
        "method": "serl",
        **more,
    }


def make_files(folder: Path) -> tuple[Path, Path]:
    """A file with three rollouts of one task and a hostile one, and a run folder with two samples."""
    file = folder / "rollouts.jsonl"
    write_jsonl(file, [won(), lost(), won(2), hostile()])
    run = folder / "run"
    run.mkdir()
    (run / "run.json").write_text(json.dumps({"recipe": "serl", "env": "ALFWorld-Hindsight-v0", "seed": 0}))
    (run / "metrics.jsonl").write_text(json.dumps({"update": 0, "success": 0.5, "turns": 4}) + "\n")
    (run / "samples.jsonl").write_text("".join(json.dumps(sample(each)) + "\n" for each in (won(), lost())))
    return file, run
