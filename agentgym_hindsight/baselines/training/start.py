"""The initial policy of a run: a given model, or a tiny one with a warm start that all methods of a seed share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Any

from agentgym_hindsight.atomic import atomic_folder, write_text
from agentgym_hindsight.baselines.evaluation.results import Evaluation
from agentgym_hindsight.baselines.models import model_source
from agentgym_hindsight.baselines.own_modules import stage_hashes
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.training.estimates import PhaseEstimate
from agentgym_hindsight.baselines.training.plan import Plan
from agentgym_hindsight.baselines.training.progress import Observer
from agentgym_hindsight.baselines.training.run_folder import check_writable
from agentgym_hindsight.baselines.training.single_process import single_process
from agentgym_hindsight.baselines.training.tiny import SIZES
from agentgym_hindsight.baselines.training.warm_start import Example, WarmStart, expert_play, fine_tune
from agentgym_hindsight.errors import MissingDataError, UnknownNameError, UsageError
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import content_hash

__all__ = ["Start", "open_start", "start_folder"]


_STARTS = Path("runs") / "starts"
#: Cached evaluations of initial policies.
_EVALUATIONS = _STARTS / "evaluations"
#: Expert play without any example ends after this number of tasks.
_ENOUGH = 32
#: The least number of steps of the warm start before its length is estimated; the first steps are the slowest.
_MEASURED_STEPS = 10


class Start:
    """The folder of an initial policy, and a cache of its evaluations, which other runs from it reuse."""

    def __init__(self, folder: Path | None, cache: Path | None = None) -> None:
        #: The policy's folder; ``None`` for a model from a hub, whose evaluations are not cached.
        self.folder = folder
        # The cache is not in the policy's folder, because a folder that the user gave must not be changed.
        self._cache = cache or _EVALUATIONS

    def cached_evaluation(self, key: Mapping[str, Any]) -> Evaluation | None:
        """The cached evaluation of a key, or ``None``."""
        path = self._path(key)
        if path is None or not path.exists():
            return None
        return Evaluation.from_dict(json.loads(path.read_text(encoding="utf-8")))

    def cache_evaluation(self, key: Mapping[str, Any], evaluation: Evaluation) -> None:
        """Cache an evaluation."""
        path = self._path(key)
        if path is not None:
            write_text(path, json.dumps(evaluation.as_dict()))

    def _path(self, key: Mapping[str, Any]) -> Path | None:
        if self.folder is None:
            return None
        # The weights are part of the key, because a folder may be overwritten by training.
        files = sorted(self.folder.glob("*.safetensors"))
        weights = [(file.name, (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]
        folder = str(self.folder.resolve())
        name = content_hash(json.dumps([key, folder, weights], sort_keys=True, default=str))
        return self._cache / f"{name}.json"


def start_folder(model: str, stage: Stage, warm: WarmStart, plan: Plan, root: Path | None = None) -> Path:
    """The folder of the tiny policy after its warm start; it does not depend on the method."""
    settings = {
        "model": model,
        "stage": stage.as_dict(),
        "warm": warm.as_dict(),
        "tokens": [plan.prompt_tokens, plan.context_tokens],
        **({"code": hashes} if (hashes := stage_hashes(stage)) else {}),
    }
    name = content_hash(json.dumps(settings, sort_keys=True, default=str))
    return (root or _STARTS) / f"{model.replace(':', '-')}-{name}-seed{plan.seed}"


def open_start(
    model: str,
    stage: Stage,
    warm: WarmStart,
    plan: Plan,
    observer: Observer,
    *,
    adapters: bool = False,
    template: Mapping[str, Any] | None = None,
) -> tuple[Any, Any, Start]:
    """Model, tokenizer and their :class:`Start`.

    Trained weights are float32: a bfloat16 weight has eight bits of precision, and an Adam step of 1e-6 changes almost
    none of them. On a GPU, passes compute in bfloat16 nevertheless. With ``adapters``, the model is not trained and is
    loaded in bfloat16 on a GPU.

    A model that is not tiny is fine-tuned on expert play if ``warm.always`` is set; ``template`` has the arguments of
    its chat template. The result is cached as a folder, like that of a tiny model.
    """
    import torch

    if model.startswith("tiny:"):
        if (size := model.removeprefix("tiny:")) not in SIZES:  # before the expert play, which takes minutes
            raise UnknownNameError("size of a tiny policy", size, SIZES)
        folder = start_folder(model, stage, warm, plan)
        if not (folder / "config.json").exists():
            _make_tiny(model.removeprefix("tiny:"), folder, stage, warm, plan, observer)
        source = str(folder)
    else:
        observer.stage(f"loading {Path(model).name}", 1)
        source = model_source(model)
        if warm.always:
            source = str(_warm(source, stage, warm, plan, observer, dict(template or {})))
    start = Start(Path(source) if Path(source).is_dir() else None)
    if start.folder is not None:
        source = str(start.folder.resolve())  # an adapter refers to its base model by this path
    dtype = torch.bfloat16 if adapters and torch.cuda.is_available() else torch.float32
    tokenizer, policy = _load(source, dtype)
    if not model.startswith("tiny:"):
        observer.advance()
    return policy, tokenizer, start


def _load(source: str, dtype: Any) -> tuple[Any, Any]:
    """Tokenizer and model."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(source, padding_side="left")
        return tokenizer, AutoModelForCausalLM.from_pretrained(source, dtype=dtype)
    except OSError as error:
        raise MissingDataError(
            f"Expected a model and its tokenizer at {source!r}, got: {str(error).splitlines()[0]} "
            "Try tiny:S, a folder, or the name of a model that can be downloaded."
        ) from error


def _warm(source: str, stage: Stage, warm: WarmStart, plan: Plan, observer: Observer, template: dict[str, Any]) -> Path:
    """The folder of a given model after its warm start."""
    import torch

    given = Path(source)
    weights = [
        (file.name, (stat := file.stat()).st_size, stat.st_mtime_ns) for file in sorted(given.glob("*.safetensors"))
    ]
    key = [str(given.resolve()) if given.is_dir() else source, weights, template, plan.seed]
    # The model's name is in the folder's name and in the key; the rest of the key is that of a tiny model.
    safe = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in given.name[:40])
    name = safe.strip("-.") or "model"
    folder = start_folder(name, stage, warm, plan)
    folder = folder.with_name(f"{folder.name}-{content_hash(json.dumps(key))[:8]}")
    if (folder / "config.json").exists():
        return folder
    check_writable(folder.parent)
    tokenizer, model = _load(source, torch.float32)
    encoder = PromptEncoder(tokenizer, plan.prompt_tokens, template)  # before the expert play: it may be refused
    examples = _play(stage, warm, plan, observer)
    if torch.cuda.is_available():
        model = model.to("cuda")
    _fit(model, encoder, examples, folder, warm, plan, observer)
    return folder


def _make_tiny(size: str, folder: Path, stage: Stage, warm: WarmStart, plan: Plan, observer: Observer) -> None:
    from agentgym_hindsight.baselines.training.tiny import make_model, make_tokenizer

    check_writable(folder.parent)
    examples = _play(stage, warm, plan, observer)
    texts = (text for example in examples[:3000] for text in (example.prompt, example.response))
    tokenizer = make_tokenizer(texts)
    encoder = PromptEncoder(tokenizer, plan.prompt_tokens)
    model = make_model(tokenizer, size, seed=plan.seed)
    _fit(model, encoder, examples, folder, warm, plan, observer)


def _play(stage: Stage, warm: WarmStart, plan: Plan, observer: Observer) -> list[Example]:
    """Examples of expert play."""
    size_of_split = stage.size("train")
    tasks = stage.panel("train", min(warm.tasks or size_of_split, size_of_split), plan.seed)
    wave_size = max(1, 64 // warm.siblings)
    play_waves = -(-len(tasks) // wave_size)
    observer.stage("expert play", play_waves)
    estimate = PhaseEstimate("expert play", play_waves, "waves of rollouts", observer.say)
    examples: list[Example] = []
    waves = expert_play(stage, list(tasks), warm, seed=plan.seed, context_tokens=plan.context_tokens)
    for number, wave in enumerate(waves, start=1):
        examples += wave
        observer.advance(f"{len(examples)} examples")
        estimate.advance()
        if not examples and number * wave_size >= _ENOUGH:
            raise UsageError(
                f"Expected expert actions in {stage.env} for a warm start, got none in {number * wave_size} tasks; "
                "try an environment with an expert, or --model with a folder or a name instead of a tiny model."
            )
    return examples


def _fit(
    model: Any,
    encoder: PromptEncoder,
    examples: list[Example],
    folder: Path,
    warm: WarmStart,
    plan: Plan,
    observer: Observer,
) -> None:
    """Fine-tune the model and save it."""
    steps = max(1, ceil(warm.epochs * ceil(len(examples) / warm.batch)))  # as the SFT trainer counts
    observer.stage("warm start", steps)
    estimate = PhaseEstimate("warm start", steps, "steps", observer.say, after=max(_MEASURED_STEPS, steps // 25))

    def report(loss: float) -> None:
        observer.advance(f"loss {loss:.2f}")
        estimate.advance()

    with single_process():  # the other processes wait until the policy is made
        loss = fine_tune(model, encoder, examples, warm, seed=plan.seed, on_step=report)
    observer.say(f"warm start: {len(examples)} examples, {steps} steps, mean loss {loss:.2f}")
    with atomic_folder(folder) as part:
        model.save_pretrained(part)
        encoder.tokenizer.save_pretrained(part)
        description = {"examples": len(examples), "steps": steps, "loss": loss, **warm.as_dict()}
        (part / "warmstart.json").write_text(json.dumps(description), encoding="utf-8")
