"""Does a teacher know better? What a policy thinks of the expert's action, with hindsight in the prompt and without.

    python -m tests.baselines.training.what_a_teacher_knows runs/starts/tiny-S-…-seed0 immediate success

States are those of disturbed expert play in houses that training never sees. "Looks apart" is the log-probability among
all that is not ``look``: what is left of a pupil of one who dawdles, once it does not.
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
    words, found = encoder.tokenizer, []
    for start in range(0, len(prompts), _BATCH):
        ids, mask = pad_left(encoder.encode_all(list(prompts[start : start + _BATCH])), words.pad_token_id)
        texts = [reply + words.eos_token for reply in replies[start : start + _BATCH]]
        told = words(texts, add_special_tokens=False)["input_ids"]
        wanted = pad_right(told, -100, torch.long)
        there = (wanted != -100).long()
        whole = torch.cat([ids, wanted.clamp(min=0)], 1)
        with torch.no_grad():
            logits = model(input_ids=whole, attention_mask=torch.cat([mask, there], 1)).logits.float()
        scores = logits[:, ids.shape[1] - 1 : -1].log_softmax(-1).gather(-1, wanted.clamp(min=0)[..., None])[..., 0]
        found += (scores * there).sum(-1).tolist()
    return found


def pairs_of(what: str) -> list[tuple[Example, Example]]:
    """States without and with hindsight; what is to be said there is the expert's action, never the look before it."""
    run = configure("serl")
    tasks = list(run.stage.panel("valid_unseen", _TASKS, 3))
    warm = replace(run.warm, siblings=_SIBLINGS, hindsight=1.0, seek=True)
    waves = expert_play(
        run.stage, tasks, warm, seed=5, context_tokens=run.plan.context_tokens, split="valid_unseen", contexts=(what,)
    )
    examples = [example for wave in waves for example in wave]
    pairs = [
        (bare, told)
        for bare, told in pairwise(examples)
        if told.prompt != bare.prompt and "Correctly solve" in told.prompt and "Correctly solve" not in bare.prompt
    ]
    return [pair for pair in pairs if pair[1].response != LOOK][:_STATES]


def main(folder: str, *contexts: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    encoder = PromptEncoder(tokenizer, configure("serl").plan.prompt_tokens)
    print("| context | states | p(look), untold → told | log p(expert's), untold → told | looks apart, untold → told |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for what in contexts:
        pairs = pairs_of(what)
        cells = [what, str(len(pairs))]
        means: list[tuple[float, ...]] = []
        for place in (0, 1):
            prompts = [pair[place].prompt for pair in pairs]
            looks = [math.exp(each) for each in likelihoods(model, encoder, prompts, [LOOK] * len(pairs))]
            right = likelihoods(model, encoder, prompts, [pair[1].response for pair in pairs])
            apart = [each - math.log(max(1e-6, 1 - look)) for each, look in zip(right, looks, strict=True)]
            means.append(tuple(sum(each) / len(each) for each in (looks, right, apart)))
        cells += [f"{bare:.2f} → {told:.2f}" for bare, told in zip(*means, strict=True)]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *(sys.argv[2:] or ["immediate", "success"]))
