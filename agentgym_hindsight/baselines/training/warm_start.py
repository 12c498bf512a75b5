"""Warm start: a tiny policy learns the format and the rudiments from expert play, by TRL's SFTTrainer.

The expert's rollouts are disturbed by random detours, and every state on the way is labelled with what the expert
would do there: the policy sees how to recover, not only the expert's own road. Some of the detours are commands that
were legal elsewhere and are mostly refused here: a policy that never saw "Nothing happens." cannot go on from it.

A share of the states is shown a second time as a teacher sees them, with hindsight in the prompt. A large model reads
such a context by nature; one made from nothing would take its titles for noise, and all of SERL with them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from agentgym_hindsight.baselines.policies.alfworld_search import SeekingExpert
from agentgym_hindsight.baselines.policies.base import TurnView
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.policies.scripted import ExpertPolicy
from agentgym_hindsight.baselines.requirements import require_train
from agentgym_hindsight.baselines.rollout import assignments, rollout
from agentgym_hindsight.baselines.training.quiet import quiet_libraries
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.budget import Budget
from agentgym_hindsight.hindsight.context import ContextOptions, compose
from agentgym_hindsight.hindsight.trajectory import Group, group_by_task
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import Task, seeded_int
from agentgym_hindsight.wrappers import format_response

__all__ = ["Example", "WarmStart", "expert_play", "fine_tune"]


_PRECISION = 1 << 32
_LOOK = "look"
#: What the contexts of a warm start are made of, a task each; whatever a recipe may ask a teacher with is among them.
_CONTEXTS = (
    "immediate",
    "next",
    "future",
    "success",
    "success+immediate",
    "success+future",
    "current",
    "immediate@anchor",
    "success+immediate@anchor",
)


@dataclass(frozen=True, slots=True)
class Example:
    """A turn's prompt and the response that holds the expert's action."""

    prompt: str
    response: str


@dataclass(frozen=True, slots=True)
class WarmStart:
    """How much expert play, and how long it is studied.

    * ``tasks``, ``siblings``: how many training tasks are played (0, or more than there are: all), and how often each.
    * ``noise``: how often a random legal detour is taken, and half as often a command from elsewhere.
    * ``seek``: in ALFWorld the expert searches for what it has not seen, see ``policies.alfworld_search``: one that
      sees through cupboards teaches where things lie in the training houses and nothing about others.
    * ``dawdle``: how often the player looks around before it acts, where a look is legal and it has not just had one.
      Such play is what a policy has to get over: a habit that costs turns in every house is learnt away in minutes, and
      what is learnt holds in houses never seen. With hindsight in the prompt nobody dawdles.
    * ``hindsight``: the share of states that are shown a second time with a teacher's context.
    * ``epochs``, ``batch``, ``learning_rate``: of the fine-tuning.
    """

    tasks: int = 1200
    siblings: int = 2
    noise: float = 0.3
    seek: bool = True
    dawdle: float = 0.0
    hindsight: float = 0.2
    epochs: float = 1.0
    batch: int = 16
    learning_rate: float = 4e-3

    def __post_init__(self) -> None:
        for name in ("noise", "dawdle", "hindsight"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"Expected {name} between 0 and 1, got {getattr(self, name)}; try 0.3.")
        if self.tasks < 0 or self.siblings < 1 or self.batch < 1 or self.epochs <= 0 or self.learning_rate <= 0:
            raise UsageError(f"Expected positive numbers for a warm start, got {self}; try the defaults.")


class _Recorder:
    """The expert with detours, in the parser's format, that notes what it would have done in every state."""

    name = "expert-play"

    def __init__(self, parser: str, seed: int, warm: WarmStart, seeks: bool) -> None:
        self._legal, self._parser = ExpertPolicy(seed, warm.noise), parser
        self._seeking = SeekingExpert() if seeks else None
        self._seed, self._noise, self._dawdle = seed, warm.noise, warm.dawdle
        # Commands that a rollout has seen, in the order of their first sight: its own alone, neighbours do not matter.
        self._strays: dict[tuple[str, int], dict[str, None]] = {}
        self._last: dict[tuple[str, int], str] = {}
        #: (task, sibling, turn) → what to learn there, and what to learn with hindsight.
        self.advice: dict[tuple[str, int, int], tuple[str, str]] = {}

    def act(self, turns: Sequence[TurnView]) -> list[str]:
        if self._seeking is not None:
            turns = [_advised(turn, self._seeking.advice(turn)) for turn in turns]
        # Where nothing is listed (a search page) there is no legal detour to draw: the expert goes its way.
        actions = [
            self._legal.act([turn])[0] if turn.info["admissible_actions"] else turn.info["expert_action"]
            for turn in turns
        ]
        for place, turn in enumerate(turns):
            rollout = turn.task_id, turn.sibling
            seen = self._strays.setdefault(rollout, {})
            advised: str = turn.info["expert_action"]
            if advised:
                shown = self._habit(turn, self._last.get(rollout, "")) or advised
                told = (format_response(each, self._parser) for each in (shown, advised))
                self.advice[turn.task_id, turn.sibling, turn.step] = next(told), next(told)
                if actions[place] == advised:
                    actions[place] = shown
            actions[place] = self._stray(turn, list(seen), self._last.get(rollout, "")) or actions[place]
            self._last[rollout] = actions[place]
            seen.update(dict.fromkeys(turn.info["admissible_actions"]))
            if self._seeking is not None:
                self._seeking.went(turn, actions[place])
        return [format_response(action, self._parser) for action in actions]

    def _habit(self, turn: TurnView, last: str) -> str:
        """The look before the deed, or ""."""
        legal = _LOOK in turn.info["admissible_actions"] and (turn.step == 0 or last != _LOOK)
        drawn = seeded_int("dawdle", self._seed, turn.task_id, turn.sibling, turn.step) % _PRECISION
        return _LOOK if legal and drawn < self._dawdle * _PRECISION else ""

    def _stray(self, turn: TurnView, known: Sequence[str], last: str) -> str:
        """A command that mostly makes no sense here, or "": what a policy does that has lost its way.

        Half of them repeat the last command, and a refused one is repeated every other time: whoever never saw the same
        refusal three times in a row would go on with it for ever.
        """
        if turn.step == 0:
            return ""
        drawn = seeded_int("stray", self._seed, turn.task_id, turn.sibling, turn.step)
        chance, choice = drawn % _PRECISION, drawn // _PRECISION
        if self._noise and not turn.info["action_valid"] and chance < _PRECISION // 2:
            return last
        if chance >= self._noise / 2 * _PRECISION:
            return ""
        return known[choice // 2 % len(known)] if known and choice % 2 else last


def _advised(turn: TurnView, action: str) -> TurnView:
    return replace(turn, info={**turn.info, "expert_action": action})


def expert_play(
    stage: Stage,
    tasks: Sequence[Task],
    warm: WarmStart,
    *,
    seed: int = 0,
    context_tokens: int = 0,
    num_envs: int = 64,
    split: str = "train",
    contexts: Sequence[str] = _CONTEXTS,
) -> Iterator[list[Example]]:
    """Examples from disturbed expert rollouts, in pieces (one a wave), for a progress display.

    A state's example with hindsight follows the one without. ``contexts`` are what it is made of, a task each.

    >>> stage = Stage(settings={"data": "embedded", "max_steps": 12}, protocol="brief")
    >>> import agentgym_hindsight
    >>> (examples,) = expert_play(stage, stage.panel("train", 2), WarmStart(noise=0.0, siblings=1, hindsight=0.0))
    >>> examples[0].response.startswith("<action>go to ")
    True
    """
    recorder = _Recorder(stage.parser, seed, warm, seeks=warm.seek and stage.world == "alfworld")
    wave = max(1, num_envs // warm.siblings)  # tasks, their siblings always together
    with closing(stage.vector(min(wave, max(1, len(tasks))) * warm.siblings, split, expert=True)) as venv:
        for start in range(0, len(tasks), wave):
            played = rollout(venv, recorder, assignments(tasks[start : start + wave], warm.siblings), seed=seed)
            whole = [trajectory for trajectory in played if not trajectory.broken and trajectory.steps]
            examples = [
                example
                for group in group_by_task(whole)
                for example in _examples(group, recorder, seed, warm.hindsight, contexts, context_tokens)
            ]
            yield examples
            recorder.advice.clear()


def _examples(
    group: Group, recorder: _Recorder, seed: int, hindsight: float, kinds: Sequence[str], context_tokens: int
) -> Iterator[Example]:
    drawn = seeded_int("context", seed, group.task_id)
    budget = Budget(context_tokens) if context_tokens else None
    what = kinds[drawn % len(kinds)]
    contexts = compose(what, group, options=ContextOptions(anchor="observation"), budget=budget)
    for trajectory, told in zip(group, contexts, strict=True):
        for step, context in zip(trajectory.steps, told, strict=True):
            key = (trajectory.task_id, trajectory.sibling, step.index)
            if key not in recorder.advice:
                continue
            response, enlightened = recorder.advice[key]
            yield Example(step.prompt, response)
            chance = seeded_int("hindsight", seed, *key) % _PRECISION
            if context is not None and chance < hindsight * _PRECISION:
                yield Example(context.prompt(step.prompt), enlightened)


def fine_tune(
    model: Any,
    encoder: PromptEncoder,
    examples: Sequence[Example],
    warm: WarmStart,
    *,
    seed: int = 0,
    on_step: Callable[[float], object] | None = None,
) -> float:
    """Fit the model to the examples; returns the mean loss. The model is changed in place.

    ``on_step`` is told the loss after every optimizer step.
    """
    require_train("a warm start")
    import torch
    from datasets import Dataset
    from transformers import PrinterCallback, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    class CompletionTrainer(SFTTrainer):  # type: ignore[misc]  # TRL is untyped
        """Without Triton TRL projects every position onto the vocabulary; this one those that are learnt alone."""

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            if return_outputs or inputs["input_ids"].is_cuda:
                return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            targets = inputs["labels"][:, 1:]
            learnt = targets != -100
            hidden = model.base_model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
            logits = model.lm_head(hidden.last_hidden_state[:, :-1][learnt])
            return torch.nn.functional.cross_entropy(logits.float(), targets[learnt])

    class Tell(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            if on_step is not None and logs and "loss" in logs:
                on_step(float(logs["loss"]))

    if not examples:
        raise UsageError("Expected expert play to learn from, got none; try an env whose expert knows a way.")
    end = encoder.tokenizer.eos_token
    # As tokens: a prompt that is too long is studied as it is played, without its middle. (SFTTrainer would cut the
    # right end of a text, which is all there is to learn.)
    prompts = encoder.encode_all([example.prompt for example in examples])
    replies = encoder.tokenizer([example.response + end for example in examples], add_special_tokens=False)["input_ids"]
    rows = {
        "input_ids": [[*prompt, *reply] for prompt, reply in zip(prompts, replies, strict=True)],
        "completion_mask": [[0] * len(p) + [1] * len(r) for p, r in zip(prompts, replies, strict=True)],
    }
    cuda = torch.cuda.is_available()
    known = SFTConfig.__dataclass_fields__
    # Renamed in transformers 5. Batches of like lengths: a third of a mixed one would be padding.
    checkpointing = "activation_checkpointing" if "activation_checkpointing" in known else "gradient_checkpointing"
    grouping: dict[str, Any] = {"group_by_length": True}
    if "train_sampling_strategy" in known:
        grouping = {"train_sampling_strategy": "group_by_length"}
    with quiet_libraries(), tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(
            output_dir=folder,
            num_train_epochs=warm.epochs,
            per_device_train_batch_size=warm.batch,
            learning_rate=warm.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=10,
            weight_decay=0.0,
            max_length=None,
            completion_only_loss=True,
            seed=seed,
            data_seed=seed,
            use_cpu=not cuda,
            bf16=False,  # tiny policies: float32 is exact and no slower
            **{checkpointing: False},
            **grouping,
            dataloader_pin_memory=False,
            save_strategy="no",
            report_to="none",
            logging_steps=1,
            disable_tqdm=True,
        )
        trainer = CompletionTrainer(
            model=model,
            args=arguments,
            train_dataset=Dataset.from_dict(rows),
            processing_class=encoder.tokenizer,
            callbacks=[Tell()],
        )
        trainer.remove_callback(PrinterCallback)
        loss = float(trainer.train().training_loss)
    model.eval()
    return loss
