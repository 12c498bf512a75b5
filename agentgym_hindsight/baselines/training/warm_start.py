"""Warm start: fine-tunes a policy on expert play with TRL's SFTTrainer.

Random detours disturb the expert's rollouts, and every state is labelled with the expert's action in it. So the policy
also learns to recover from states that the expert would not reach. Some detours are commands that were admissible in
another state and are mostly refused in this one: a policy without such examples does not recover from a refusal
("Nothing happens.").

A share of the states occurs a second time with hindsight in the prompt, as in a teacher's prompt. A pretrained model
can use such a context. A model with random weights must learn it first; otherwise the teacher's scores are noise.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from typing import Any

from agentgym_hindsight.baselines.policies.alfworld_search import SeekingExpert
from agentgym_hindsight.baselines.policies.base import Reply, TurnView
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.policies.scripted import ExpertPolicy
from agentgym_hindsight.baselines.policies.turn_prompts import encode_turns
from agentgym_hindsight.baselines.policies.webshop_search import ShortSearch
from agentgym_hindsight.baselines.requirements import require_train
from agentgym_hindsight.baselines.rollout import assignments, rollout
from agentgym_hindsight.baselines.settings import check_range
from agentgym_hindsight.baselines.training.fine_tuning import adapted, any_model_loss
from agentgym_hindsight.baselines.training.quiet import quiet_libraries
from agentgym_hindsight.envs.tools import ToolCall, format_calls, function_names
from agentgym_hindsight.envs.tools.schemas import parameters_of
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.budget import Budget
from agentgym_hindsight.hindsight.context import ContextOptions, compose
from agentgym_hindsight.hindsight.trajectory import Group, Step, Trajectory, group_by_task
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import Task, seeded_int
from agentgym_hindsight.wrappers import format_response
from agentgym_hindsight.wrappers.value_names import short_call

__all__ = ["Example", "WarmStart", "expert_play", "fine_tune"]


#: Values that runs from before they existed lack.
_LATER = ("prompt_loss", "warmup", "always", "micro", "bf16", "peft")
#: Random integers below this number are compared with probabilities.
_PRECISION = 1 << 32
#: A useless action of each world, and the actions after which it is not taken: itself, and the way back from it.
_THINK = '<tool_call>{"name": "think", "arguments": {"thought": "I wait."}}</tool_call>'
_NEEDLESS: dict[str, tuple[str, tuple[str, ...]]] = {
    "webshop": ("click[description]", ("click[description]", "click[< prev]")),
    "appworld": ("apis.supervisor.show_profile()", ("apis.supervisor.show_profile()",)),
    "tools": (_THINK, (_THINK,)),
}
_LOOK = ("look", ("look",))
#: The contexts of a warm start; each task gets one of them. They cover the contexts of all recipes.
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


def _needless_call(tools: Sequence[Mapping[str, Any]]) -> str:
    """``think``, or else the first function without a required argument; "" if there is none.

    In the embedded worlds these functions change nothing.
    """
    names = function_names(tools)
    if "think" in names:
        return _THINK
    free = (name for name, schema in zip(names, tools, strict=True) if not parameters_of(schema)[1])
    name = next(free, "")
    return format_calls([ToolCall(name)]) if name else ""


@dataclass(frozen=True, slots=True)
class Example:
    """The prompt of a turn and the response with the expert's action.

    ``past`` has the earlier messages of a conversation, each with the response that was played.
    """

    prompt: str
    response: str
    past: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class WarmStart:
    """The amount of expert play, and the fine-tuning on it.

    * ``tasks``, ``siblings``: number of training tasks (0, or more than exist: all), and rollouts of each.
    * ``noise``: probability of a random admissible detour. Commands from another state have half of this probability.
    * ``seek``: in ALFWorld, the expert searches for objects that it has not seen (``policies.alfworld_search``). An
      expert that uses hidden positions would make the policy memorise those of the training houses.
    * ``needless_looks``: probability that the expert looks around before an action, if ``look`` is admissible and was
      not its last action. The habit costs turns in every house. So RL can improve the policy within minutes by
      removing the habit, and the improvement generalises to unseen houses. Examples with hindsight in the prompt have
      no needless looks. In WebShop it reads the description of the product, in AppWorld it asks for the profile, at
      the desks of tau-bench it calls ``think``, in BFCL the first function that needs no argument.
    * ``hindsight``: share of the states that occur a second time with a teacher's context.
    * ``prompt_loss``: weight of the loss of the prompts' tokens beside that of the replies. A model that also predicts
      prompts, in which names recur, learns to copy and to point within a few hundred steps; from replies alone it does
      not. On a GPU it is ignored.
    * ``epochs``, ``batch``, ``learning_rate``, ``warmup``: of the fine-tuning. ``warmup`` is a number of steps.
    * ``always``: also for a model that is not tiny. Setting any value of the warm start for such a model turns it on.
      It then predicts replies with the model's own forward pass, and all values below apply.
    * ``micro``: rows of a forward pass; the gradients of a batch are accumulated. 0: the whole batch.
    * ``bf16``: bfloat16 in each forward pass; ``None``: where the processor has it. The weights stay float32.
    * ``peft``: arguments of a LoraConfig: only adapters are trained, and merged into the weights at the end. Without
      it, all weights are trained.
    """

    tasks: int = 1200
    siblings: int = 2
    noise: float = 0.3
    seek: bool = True
    needless_looks: float = 0.0
    hindsight: float = 0.2
    prompt_loss: float = 0.0
    epochs: float = 1.0
    batch: int = 16
    learning_rate: float = 4e-3
    warmup: int = 10
    always: bool = False
    micro: int = 0
    bf16: bool | None = None
    peft: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        check_range(self, "noise", "needless_looks", "hindsight", least=0, most=1)
        check_range(self, "tasks", "warmup", "micro", least=0)
        check_range(self, "siblings", "batch", least=1)
        check_range(self, "epochs", "learning_rate", above=0)
        check_range(self, "prompt_loss", least=0)

    def as_dict(self) -> dict[str, Any]:
        """The values as plain data. Values that older runs do not have are omitted at their defaults."""
        plain = asdict(self)
        for each in fields(self):
            if each.name in _LATER and plain[each.name] == each.default:
                del plain[each.name]
        return plain


class _Recorder:
    """Plays the expert with detours and records the expert's action in every state, in the format of the parser."""

    name = "expert-play"

    def __init__(self, parser: str, seed: int, warm: WarmStart, world: str) -> None:
        self._expert, self._parser = ExpertPolicy(seed, warm.noise), parser
        self._look, self._is_open = _NEEDLESS.get(world, _LOOK), world in ("appworld", "tools")
        self._calls = world == "tools" and parser == "short"
        self._seeking = SeekingExpert() if warm.seek and world == "alfworld" else None
        self._searching = ShortSearch() if warm.seek and world == "webshop" else None
        self._seed, self._noise, self._needless_looks = seed, warm.noise, warm.needless_looks
        # The commands that were admissible so far in each rollout, in order; independent of the other rollouts.
        self._seen: dict[tuple[str, int], dict[str, None]] = {}
        self._last: dict[tuple[str, int], str] = {}
        #: (task, sibling, turn) → the response to learn, and the response to learn with hindsight in the prompt.
        self.advice: dict[tuple[str, int, int], tuple[str, str]] = {}

    def act(self, turns: Sequence[TurnView]) -> list[str]:
        if self._seeking is not None:
            turns = [_with_expert_action(turn, self._seeking.advice(turn)) for turn in turns]
        elif self._searching is not None:
            turns = [_with_expert_action(turn, self._searching.advice(turn)) for turn in turns]
        # Without a list of admissible actions (a search page) there are no detours.
        actions = [
            self._expert.act([turn])[0] if turn.info["admissible_actions"] else turn.info["expert_action"]
            for turn in turns
        ]
        for index, turn in enumerate(turns):
            rollout = turn.task_id, turn.sibling
            seen = self._seen.setdefault(rollout, {})
            advised: str = turn.info["expert_action"]
            if advised:
                labelled = self._needless_look(turn, self._last.get(rollout, "")) or advised
                self.advice[turn.task_id, turn.sibling, turn.step] = (
                    self._response(turn, labelled),
                    self._response(turn, advised),
                )
                if actions[index] == advised:
                    actions[index] = labelled
            actions[index] = self._earlier_command(turn, list(seen), self._last.get(rollout, "")) or actions[index]
            self._last[rollout] = actions[index]
            seen.update(dict.fromkeys(turn.info["admissible_actions"]))
            if self._seeking is not None:
                self._seeking.record_visit(turn, actions[index])
        return [self._response(turn, action) for turn, action in zip(turns, actions, strict=True)]

    def _response(self, turn: TurnView, action: str) -> str:
        if self._calls:
            action = short_call(action, turn.observation)
        return format_response(action, self._parser, turn.info["admissible_actions"])

    def _needless_look(self, turn: TurnView, last: str) -> str:
        """A look before the action, or ""."""
        look, not_after = self._look
        if look == _THINK:
            look = _needless_call(turn.info["extra"].tools)
            if not look:
                return ""
            not_after = (look,)
        admissible = turn.info["admissible_actions"]
        legal = (look in admissible or (self._is_open and not admissible)) and (turn.step == 0 or last not in not_after)
        # "dawdle" and "stray" are salts of the random numbers: other words would change the results.
        drawn = seeded_int("dawdle", self._seed, turn.task_id, turn.sibling, turn.step) % _PRECISION
        return look if legal and drawn < self._needless_looks * _PRECISION else ""

    def _earlier_command(self, turn: TurnView, earlier: Sequence[str], last: str) -> str:
        """A command of an earlier state, which is mostly refused in this one, or "".

        Half of these commands repeat the last one, and a refused command is repeated with probability 1/2. A policy
        without examples of three equal refusals in a row repeats a refused command for ever.
        """
        if turn.step == 0:
            return ""
        drawn = seeded_int("stray", self._seed, turn.task_id, turn.sibling, turn.step)
        chance, choice = drawn % _PRECISION, drawn // _PRECISION
        if self._noise and not turn.info["action_valid"] and chance < _PRECISION // 2:
            return last
        if chance >= self._noise / 2 * _PRECISION:
            return ""
        return earlier[choice // 2 % len(earlier)] if earlier and choice % 2 else last


def _with_expert_action(turn: TurnView, action: str) -> TurnView:
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
    """Examples from disturbed expert rollouts, one list per wave, so that progress can be shown.

    The example with hindsight follows the example of the same state without. Each task gets one of the ``contexts``.

    >>> stage = Stage(settings={"data": "embedded", "max_steps": 12}, protocol="brief")
    >>> import agentgym_hindsight
    >>> (examples,) = expert_play(stage, stage.panel("train", 2), WarmStart(noise=0.0, siblings=1, hindsight=0.0))
    >>> examples[0].response.startswith("<action>go to ")
    True
    """
    recorder = _Recorder(stage.parser, seed, warm, stage.world)
    wave = max(1, num_envs // warm.siblings)  # tasks; the siblings of a task are in the same wave
    with closing(stage.vector(min(wave, max(1, len(tasks))) * warm.siblings, split, expert=True)) as venv:
        for start in range(0, len(tasks), wave):
            played = rollout(venv, recorder, assignments(tasks[start : start + wave], warm.siblings), seed=seed)
            complete = [trajectory for trajectory in played if not trajectory.broken and trajectory.steps]
            examples = [
                example
                for group in group_by_task(complete)
                for example in _examples(group, recorder, seed, warm.hindsight, contexts, context_tokens)
            ]
            yield examples
            recorder.advice.clear()


def _examples(
    group: Group, recorder: _Recorder, seed: int, hindsight: float, specs: Sequence[str], context_tokens: int
) -> Iterator[Example]:
    drawn = seeded_int("context", seed, group.task_id)
    budget = Budget(context_tokens) if context_tokens else None
    spec = specs[drawn % len(specs)]
    contexts = compose(spec, group, options=ContextOptions(anchor="observation"), budget=budget)
    for trajectory, step_contexts in zip(group, contexts, strict=True):
        for step, context in zip(trajectory.steps, step_contexts, strict=True):
            key = (trajectory.task_id, trajectory.sibling, step.index)
            if key not in recorder.advice:
                continue
            response, with_hindsight = recorder.advice[key]
            past = tuple((each.prompt, each.response) for each in _messages_before(trajectory, step))
            yield Example(step.prompt, response, past)
            chance = seeded_int("hindsight", seed, *key) % _PRECISION
            if context is not None and chance < hindsight * _PRECISION:
                yield Example(context.prompt(step.prompt), with_hindsight, past)


def _messages_before(trajectory: Trajectory, step: Step) -> tuple[Step, ...]:
    return trajectory.steps[: trajectory.steps.index(step)] if step.extra.get("conversation") else ()


def _prompts(encoder: PromptEncoder, examples: Sequence[Example]) -> list[tuple[int, ...]]:
    """The prompts of the examples, in a conversation after the tokens of the earlier turns."""
    spoken = list(dict.fromkeys(response for example in examples for _, response in example.past))
    responses = dict(zip(spoken, encoder.responses(spoken), strict=True)) if spoken else {}

    @lru_cache(maxsize=1024)  # the examples of a rollout are neighbours
    def replied(past: tuple[tuple[str, str], ...]) -> tuple[tuple[str, Reply], ...]:
        """The earlier turns with their tokens."""
        if not past:
            return ()
        before, (prompt, response) = replied(past[:-1]), past[-1]
        (encoded,) = encode_turns(encoder, [TurnView("", 0, 0, prompt, {}, before)])
        ids, (_, past_tokens, message) = responses[response], encoded
        reply = Reply(response, encoded.ids, ids, (0.0,) * len(ids), True, past_tokens, message)
        return (*before, (prompt, reply))

    turns = [TurnView("", 0, 0, example.prompt, {}, replied(example.past)) for example in examples]
    return [encoded.ids for encoded in encode_turns(encoder, turns)]


def fine_tune(
    model: Any,
    encoder: PromptEncoder,
    examples: Sequence[Example],
    warm: WarmStart,
    *,
    seed: int = 0,
    on_step: Callable[[float], object] | None = None,
) -> float:
    """Fit the model to the examples, in place; returns the mean loss.

    ``on_step`` is called with the loss after every optimizer step.
    """
    require_train("a warm start")
    import torch
    from datasets import Dataset
    from transformers import PrinterCallback, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    class CompletionTrainer(SFTTrainer):  # type: ignore[misc]  # TRL is untyped
        """Projects only the response's positions onto the vocabulary. TRL without Triton projects all positions."""

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            if warm.always and not return_outputs:
                # Without this, transformers divides by the number of passes itself.
                items = num_items_in_batch if self.model_accepts_loss_kwargs else None
                return any_model_loss(model, inputs, warm, items)
            if return_outputs or inputs["input_ids"].is_cuda:
                return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            targets = inputs["labels"][:, 1:]
            in_loss = targets != -100
            hidden = model.base_model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
            logits = model.lm_head(hidden.last_hidden_state[:, :-1][in_loss])
            loss = torch.nn.functional.cross_entropy(logits.float(), targets[in_loss])
            if not warm.prompt_loss:
                return loss
            in_prompt = inputs["attention_mask"][:, 1:].bool() & ~in_loss
            logits = model.lm_head(hidden.last_hidden_state[:, :-1][in_prompt])
            read = torch.nn.functional.cross_entropy(logits.float(), inputs["input_ids"][:, 1:][in_prompt])
            return loss + warm.prompt_loss * read

    class ReportLoss(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            if on_step is not None and logs and "loss" in logs:
                on_step(float(logs["loss"]))

    if not examples:
        raise UsageError("Expected examples of expert play, got none; try an environment with an expert.")
    # Prompts are passed as tokens: the encoder cuts the middle of a long prompt, as in rollouts. SFTTrainer would cut
    # the right end of a text, which is the response.
    prompts = _prompts(encoder, examples)
    replies = encoder.responses([example.response for example in examples])
    rows = {
        "input_ids": [[*prompt, *reply] for prompt, reply in zip(prompts, replies, strict=True)],
        "completion_mask": [[0] * len(p) + [1] * len(r) for p, r in zip(prompts, replies, strict=True)],
    }
    cuda = torch.cuda.is_available()
    micro = warm.micro or warm.batch
    known = SFTConfig.__dataclass_fields__
    # Both arguments were renamed in transformers 5. Without batches of similar lengths, a third would be padding.
    checkpointing = "activation_checkpointing" if "activation_checkpointing" in known else "gradient_checkpointing"
    grouping: dict[str, Any] = {"group_by_length": True}
    if "train_sampling_strategy" in known:
        grouping = {"train_sampling_strategy": "group_by_length"}
    with quiet_libraries(), adapted(model, warm) as trained, tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(
            output_dir=folder,
            num_train_epochs=warm.epochs,
            per_device_train_batch_size=min(micro, warm.batch),
            gradient_accumulation_steps=-(-warm.batch // micro),
            learning_rate=warm.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=warm.warmup,
            weight_decay=0.0,
            max_length=None,
            completion_only_loss=True,
            seed=seed,
            data_seed=seed,
            use_cpu=not cuda,
            bf16=False,  # for tiny policies float32 is exact and not slower; for others see any_model_loss
            **{checkpointing: warm.always and cuda},
            **grouping,
            dataloader_pin_memory=False,
            save_strategy="no",
            report_to="none",
            logging_steps=1,
            disable_tqdm=True,
        )
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            arguments._n_gpu = min(arguments.n_gpu, 1)  # this process trains alone, on its own GPU
        trainer = CompletionTrainer(
            model=trained,
            args=arguments,
            train_dataset=Dataset.from_dict(rows),
            processing_class=encoder.tokenizer,
            callbacks=[ReportLoss()],
        )
        trainer.remove_callback(PrinterCallback)
        loss = float(trainer.train().training_loss)
    model.eval()
    return loss
