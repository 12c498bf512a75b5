"""Where a run begins: a given model, or a tiny one made from nothing and warmed up once for all rivals of a seed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agentgym_hindsight.atomic import atomic_folder, write_text
from agentgym_hindsight.baselines.evaluation.results import Evaluation
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.training.plan import Plan
from agentgym_hindsight.baselines.training.progress import Observer
from agentgym_hindsight.baselines.training.tiny import SIZES
from agentgym_hindsight.baselines.training.warm_start import WarmStart, expert_play, fine_tune
from agentgym_hindsight.errors import MissingDataError, UnknownNameError
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import content_hash

__all__ = ["Start", "open_start", "start_folder"]


_STARTS = Path("runs") / "starts"
_NOTES = _STARTS / "evaluations"


class Start:
    """Where a policy came from, and what it was worth before training: rivals need not ask again."""

    def __init__(self, folder: Path | None, notes: Path | None = None) -> None:
        #: The policy's folder; ``None`` for a model from elsewhere, of which nothing is noted.
        self.folder = folder
        # Apart from the policy: a folder that was given is not ours to write into.
        self._notes = notes or _NOTES

    def recall(self, key: Mapping[str, Any]) -> Evaluation | None:
        """The evaluation noted under this key."""
        path = self._path(key)
        if path is None or not path.exists():
            return None
        return Evaluation.from_dict(json.loads(path.read_text(encoding="utf-8")))

    def remember(self, key: Mapping[str, Any], evaluation: Evaluation) -> None:
        """Note an evaluation for the next run from here."""
        path = self._path(key)
        if path is not None:
            write_text(path, json.dumps(evaluation.as_dict()))

    def _path(self, key: Mapping[str, Any]) -> Path | None:
        if self.folder is None:
            return None
        # A folder that was trained into since is worth something else now.
        files = sorted(self.folder.glob("*.safetensors"))
        weights = [(file.name, (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]
        place = str(self.folder.resolve())
        name = content_hash(json.dumps([key, place, weights], sort_keys=True, default=str))
        return self._notes / f"{name}.json"


def start_folder(model: str, stage: Stage, warm: WarmStart, plan: Plan, root: Path | None = None) -> Path:
    """Where the warmed-up tiny policy of these settings lies: the same for every method of the seed."""
    settings = {
        "model": model,
        "stage": asdict(stage),
        "warm": asdict(warm),
        "tokens": [plan.prompt_tokens, plan.context_tokens],
    }
    name = content_hash(json.dumps(settings, sort_keys=True, default=str))
    return (root or _STARTS) / f"{model.replace(':', '-')}-{name}-seed{plan.seed}"


def open_start(
    model: str, stage: Stage, warm: WarmStart, plan: Plan, news: Observer, *, adapters: bool = False
) -> tuple[Any, Any, Start]:
    """Model, tokenizer and their :class:`Start`.

    What is trained is float32: a bfloat16 weight has eight bits, and an Adam step of 1e-6 is lost on nearly all of
    them. Passes compute in bfloat16 on a GPU all the same. Under ``adapters`` the model itself stays as it is.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if model.startswith("tiny:"):
        if (size := model.removeprefix("tiny:")) not in SIZES:  # said before anything is played
            raise UnknownNameError("size of a tiny policy", size, SIZES)
        folder = start_folder(model, stage, warm, plan)
        if not (folder / "config.json").exists():
            _make(model.removeprefix("tiny:"), folder, stage, warm, plan, news)
        source = str(folder)
    else:
        source = model
    own = Start(Path(source) if Path(source).is_dir() else None)
    kind = torch.bfloat16 if adapters and torch.cuda.is_available() else torch.float32
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, padding_side="left")
        loaded = AutoModelForCausalLM.from_pretrained(source, dtype=kind)
    except OSError as error:
        raise MissingDataError(
            f"Expected a model and its tokenizer at {source!r}, got: {str(error).splitlines()[0]} "
            "Try tiny:S, a folder, or a name your machine can download."
        ) from error
    return loaded, tokenizer, own


def _make(size: str, folder: Path, stage: Stage, warm: WarmStart, plan: Plan, news: Observer) -> None:
    from agentgym_hindsight.baselines.training.tiny import make_model, make_tokenizer

    there = stage.size("train")
    tasks = stage.panel("train", min(warm.tasks or there, there), plan.seed)
    waves = -(-len(tasks) // max(1, 64 // warm.siblings))
    news.stage("expert play", waves)
    examples = []
    for wave in expert_play(stage, list(tasks), warm, seed=plan.seed, context_tokens=plan.context_tokens):
        examples += wave
        news.advance(f"{len(examples)} examples")
    texts = (text for example in examples[:3000] for text in (example.prompt, example.response))
    tokenizer = make_tokenizer(texts)
    encoder = PromptEncoder(tokenizer, plan.prompt_tokens)
    model = make_model(tokenizer, size, seed=plan.seed)
    steps = max(1, round(len(examples) * warm.epochs / warm.batch))
    news.stage("warm start", steps)
    loss = fine_tune(
        model, encoder, examples, warm, seed=plan.seed, on_step=lambda loss: news.advance(f"loss {loss:.2f}")
    )
    news.say(f"warm start: {len(examples)} examples, {steps} steps, mean loss {loss:.2f}")
    with atomic_folder(folder) as part:
        model.save_pretrained(part)
        tokenizer.save_pretrained(part)
        about = {"examples": len(examples), "steps": steps, "loss": loss, **asdict(warm)}
        (part / "warmstart.json").write_text(json.dumps(about), encoding="utf-8")
