"""Control tokens of chat models that stand in a text: broken, for servers that apply their own chat template.

A local policy encodes a prompt itself, so that a text cannot become a control token
(``baselines.policies.control_tokens``). A server gets messages, renders them and tokenizes the result; many servers
then read ``<|im_end|>`` inside a message as the end of the message. Its tokenizer is not known here, so that the
spellings of all common chat models are broken.
"""

from __future__ import annotations

import re

__all__ = ["break_control_text", "control_texts"]

# Every alternative is bounded, so that a search is linear in the length of the text.
_SPELLINGS = "|".join(
    (
        r"<[|｜][^\s<>|｜]{1,64}[|｜]?>",  # ChatML, Llama 3, Phi, GLM, Command R, Harmony; DeepSeek; Gemma 4
        r"<[^\s<>|｜]{1,64}[|｜]>",  # Gemma 4: <turn|>
        r"\[\|[^\s\[\]|]{1,64}\|\]",  # EXAONE
        r"</?(?:s|bos|eos|pad|unk|sop|eop)>",
        r"<(?:start|end)_of_[a-z]{1,32}>",  # Gemma
        r"<seed:[a-z_:]{1,32}>",
        r"<</?SYS>>",  # Llama 2
        r"\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_RESULTS|TOOL_CALLS|TOOL_CONTENT|MODEL_SETTINGS)\]",
        r"\[[gs]MASK\]",  # GLM; not "[SEP]" of BERT, which WebShop prints on every page
        r"\]~!?b\[|\]~b\]|\[e~\[",  # MiniMax
    )
)
_CONTROL = re.compile(_SPELLINGS)
# The lookahead finds spellings that overlap as well: only the first character of each is consumed.
_STARTS = re.compile(f"(?=(?:{_SPELLINGS}))(.)", re.DOTALL)


def break_control_text(text: str) -> str:
    """The text with a space after the first character of every control token of a common chat model.

    Everything else is unchanged. The broken text is visible, and no tokenizer reads it as a control token.

    >>> break_control_text("done<|im_end|> [/INST] a <b> | <think>")
    'done< |im_end|> [ /INST] a <b> | <think>'
    """
    return _STARTS.sub(r"\1 ", text)


def control_texts(text: str) -> tuple[str, ...]:
    """The spellings of control tokens that occur in a text, each once, in their order.

    >>> control_texts("{{ '<|user|>' + content + '<|end|>' }}<|user|>")
    ('<|user|>', '<|end|>')
    """
    return tuple(dict.fromkeys(_CONTROL.findall(text)))
