"""Run folders as `agh train` writes them, generated from a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CATEGORIES = ("pick_and_place", "pick_clean", "pick_heat", "look_at_obj")
HOSTILE = "</pre><script>alert('owned')</script><img src=x onerror=alert(1)> & \x1b[31m\u202edrawkcab"


def write_lines(file: Path, rows: list[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def evaluation(share: float, games: int = 140, categories: tuple[str, ...] = CATEGORIES) -> dict[str, Any]:
    each = games // len(categories)
    rows = []
    for place, name in enumerate(categories):
        won = min(each, max(0, round(each * (share + 0.05 * (place - 1.5)))))
        rows.append(row(name, each, won))
    won = sum(r["won"] for r in rows)
    return {"micro": row("all", each * len(rows), won), "macro": won / (each * len(rows)), "categories": rows}


def row(name: str, rollouts: int, won: int) -> dict[str, Any]:
    turns = 30.0 - 18.0 * won / rollouts
    return {
        "name": name,
        "rollouts": rollouts,
        "won": won,
        "score": won / rollouts,
        "turns": turns,
        "invalid": 0.2 * (1 - won / rollouts),
        "broken": 0,
    }


def measured(update: int, turns: int, share: float, label: str = "greedy", **more: Any) -> dict[str, Any]:
    temperature = 0.0 if label == "greedy" else 0.4
    line = {"update": update, "turns": turns, "label": label, "temperature": temperature, "panel": "a1b2c3"}
    return {**line, "split": "valid_unseen", "seed": 7, "evaluation": evaluation(share), **more}


def metrics_row(update: int, progress: float, chance: random.Random, teacher: bool) -> dict[str, Any]:
    success = min(0.97, max(0.02, 0.15 + 0.6 * progress + chance.gauss(0, 0.05)))
    line: dict[str, Any] = {
        "update": update,
        "turns": 2600 * (update + 1) - round(900 * update * progress),
        "seconds": 61.0 * (update + 1),
        "success": success,
        "score": success,
        "return": 10 * success,
        "episode_turns": 30 - 16 * success + chance.gauss(0, 1),
        "invalid": 0.25 * (1 - progress) * chance.uniform(0.7, 1.2),
        "rows": 2000,
        "response_tokens": 100 * (60 + 10 * progress),
        "response_length": 60 + 10 * progress,
        "groups_without_variance": 0.2 + 0.2 * progress,
        "entropy": 0.9 - 0.5 * progress + chance.gauss(0, 0.03),
        "repetition": 0.2 * (1 - progress),
        "loss": chance.gauss(0, 0.01),
        "grad_norm": chance.uniform(0.3, 1.2),
        "advantage_abs": 0.8 - 0.2 * progress,
        "parse_failures": 0.1 * (1 - progress),
        "seconds_rollout": 38 + chance.gauss(0, 2) + (40 if update == 0 else 0),
        "seconds_update": 21 + chance.gauss(0, 1),
        "rollout_tokens_per_second": 2900 + chance.gauss(0, 100),
        "memory_mb": 30200 + chance.randrange(500),
    }
    if teacher:
        counts = [0] * 20
        for _ in range(4000):
            weight = 1 + (0.08 + 0.12 * (1 - progress)) * chance.gauss(0, 1)
            counts[min(19, max(0, int((min(1.4, max(0.6, weight)) - 0.6) / 0.04)))] += 1
        line |= {
            "lambda": max(0.0, 1 - progress),
            "context_available": 0.8 + 0.15 * progress,
            "action_tokens": 0.18,
            "clipped": 0.06 * (1 - progress),
            "gap": 0.05 * (1 - progress) + chance.gauss(0, 0.005),
            "gap_abs": 0.3 - 0.2 * progress,
            "weight_mean": 1.0 + 0.01 * chance.gauss(0, 1),
            "seconds_teacher": 9 + chance.gauss(0, 0.5),
            "teacher_tokens": 900_000,
            "weights": {"edges": [round(0.6 + 0.04 * k, 6) for k in range(21)], "counts": counts},
            "gap_by_source": {
                "immediate": {"mean": 0.03, "abs": 0.2, "rows": 900},
                "successful_trajectory": {"mean": 0.12 + chance.gauss(0, 0.01), "abs": 0.35, "rows": 700},
                "future": {"mean": -0.04, "abs": 0.25, "rows": 400},
            },
        }
    return line


def sample(update: int, won: bool, chance: random.Random) -> dict[str, Any]:
    steps = []
    for turn, action in enumerate(("go to cabinet 1", "open cabinet 1", "take mug 1 from cabinet 1")):
        words = ["<think>", " The", " mug", " may", " be", " in", " a", " cabinet", ".", "</think>", "\n<action>"]
        words += [f" {word}" for word in action.split()] + [" </action>"]
        inside = [place > 10 and place < len(words) - 1 for place in range(len(words))]
        gaps = [chance.gauss(0.1, 0.8) if own else 0.0 for own in inside]
        steps.append(
            {
                "prompt": f"You are in the middle of a room. Turn {turn}. {HOSTILE}",
                "action_valid": turn != 1,
                "feedback": f"You did: {action}. {HOSTILE}",
                "advantage": (1 if won else -1) * chance.uniform(0.5, 1.5),
                "tokens": [HOSTILE if turn == 2 and word == "." else word for word in words],
                "weights": [min(1.4, max(0.6, 1 + 0.3 * gap)) for gap in gaps],
                "gaps": gaps,
                "context": f"A sibling won by going to the cabinet. {HOSTILE}" if turn else "",
            }
        )
    document = {
        "update": update,
        "task_id": f"t{chance.randrange(999)}",
        "goal": f"put a clean mug in the desk {HOSTILE}",
    }
    return {**document, "won": won, "sibling": 3, "return": 10.0 * won, "steps": steps}


def fake_run(
    folder: Path,
    recipe: str = "serl",
    seed: int = 0,
    updates: int = 40,
    lift: float = 0.6,
    settings: Mapping[str, Any] | None = None,
    backend: str = "native/embedded",
    model: str = "tiny-llama",
) -> Path:
    """A complete run. ``lift`` is the increase of the success by training."""
    chance = random.Random(f"{recipe}{seed}{lift}")
    folder.mkdir(parents=True)
    teacher = recipe != "grpo"
    about = {
        "schema": "agentgym-hindsight/run",
        "version": 1,
        "recipe": recipe,
        "env": "ALFWorld-Hindsight-v0",
        "backend": backend,
        "seed": seed,
        "model": {"name": model, "parameters": 1_543_000},
        "settings": {"seed": seed, "lr": 1e-5, "group": 8, "stage": {"difficulty": "easy"}, **(settings or {})},
        "versions": {"torch": "2.13", "trl": "1.16"},
        "command": f"agh train {recipe} --seed {seed} --note '{HOSTILE}'",
        "started": "2026-01-01T00:00:00+00:00",
    }
    (folder / "run.json").write_text(json.dumps(about))
    rows = [metrics_row(update, lift / 0.6 * update / updates, chance, teacher) for update in range(updates)]
    write_lines(folder / "metrics.jsonl", rows)
    evaluations = []
    for update in range(0, updates + 1, 10):
        turns = 0 if update == 0 else rows[update - 1]["turns"]
        share = 0.18 + lift * update / updates + chance.gauss(0, 0.02)
        evaluations += [measured(update, turns, share), measured(update, turns, share - 0.04, "T=0.4")]
    write_lines(folder / "eval.jsonl", evaluations)
    if teacher:
        write_lines(
            folder / "samples.jsonl", [sample(k, won, chance) for k in (0, updates - 1) for won in (True, False)]
        )
    return folder
