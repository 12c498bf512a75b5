"""Measures a teacher: log-probabilities of the expert's action, with and without hindsight in the prompt.

    python -m tests.baselines.training.teacher_probabilities runs/starts/tiny-S-…-seed0 immediate success

The states come from disturbed expert play in houses that training never plays. "Given no look" is the log-probability
under the condition that the action is not ``look``: it excludes the needless looks that the policy has learnt.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from agentgym_hindsight.baselines.padding import pad_left, pad_right
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.training.configuration import configure
from agentgym_hindsight.baselines.training.warm_start import Example, expert_play

LOOK = "<action>look</action>"
_TASKS, _SIBLINGS, _STATES, _BATCH = 16, 4, 400, 32


def likelihoods(model: Any, encoder: PromptEncoder, prompts: Sequence[str], replies: Sequence[str]) -> list[float]:
    """Log-probability of every reply after its prompt."""
    words, result = encoder.tokenizer, []
    for start in range(0, len(prompts), _BATCH):
        ids, mask = pad_left(encoder.encode_all(list(prompts[start : start + _BATCH])), words.pad_token_id)
        texts = [reply + words.eos_token for reply in replies[start : start + _BATCH]]
        reply_ids = pad_right(words(texts, add_special_tokens=False)["input_ids"], -100, torch.long)
        reply_mask = (reply_ids != -100).long()
        reply_ids = reply_ids.clamp(min=0)
        with torch.no_grad():
            logits = model(
                input_ids=torch.cat([ids, reply_ids], 1), attention_mask=torch.cat([mask, reply_mask], 1)
            ).logits.float()
        scores = logits[:, ids.shape[1] - 1 : -1].log_softmax(-1).gather(-1, reply_ids[..., None])[..., 0]
        result += (scores * reply_mask).sum(-1).tolist()
    return result


def pairs_of(what: str) -> list[tuple[Example, Example]]:
    """Examples of the same state without and with hindsight, except states where the expert's action is a look."""
    run = configure("serl")
    tasks = list(run.stage.panel("valid_unseen", _TASKS, 3))
    warm = replace(run.warm, siblings=_SIBLINGS, hindsight=1.0, seek=True)
    waves = expert_play(
        run.stage, tasks, warm, seed=5, context_tokens=run.plan.context_tokens, split="valid_unseen", contexts=(what,)
    )
    examples = [example for wave in waves for example in wave]
    pairs = [
        (plain, hindsight)
        for plain, hindsight in pairwise(examples)
        if hindsight.prompt != plain.prompt
        and "Correctly solve" in hindsight.prompt
        and "Correctly solve" not in plain.prompt
    ]
    return [pair for pair in pairs if pair[1].response != LOOK][:_STATES]


def main(folder: str, *contexts: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    encoder = PromptEncoder(tokenizer, configure("serl").plan.prompt_tokens)
    print("| context | states | p(look), without → with | log p(expert's action) | log p, given no look |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for what in contexts:
        pairs = pairs_of(what)
        cells = [what, str(len(pairs))]
        means: list[tuple[float, ...]] = []
        for place in (0, 1):
            prompts = [pair[place].prompt for pair in pairs]
            looks = [math.exp(each) for each in likelihoods(model, encoder, prompts, [LOOK] * len(pairs))]
            expert = likelihoods(model, encoder, prompts, [pair[1].response for pair in pairs])
            no_look = [each - math.log(max(1e-6, 1 - look)) for each, look in zip(expert, looks, strict=True)]
            means.append(tuple(sum(each) / len(each) for each in (looks, expert, no_look)))
        cells += [f"{plain:.2f} → {hindsight:.2f}" for plain, hindsight in zip(*means, strict=True)]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *(sys.argv[2:] or ["immediate", "success"]))
