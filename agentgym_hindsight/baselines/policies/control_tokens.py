"""Keeps text of worlds and models apart from the control tokens of a chat template.

A tokenizer reads ``<|im_end|>`` in a text as the token that ends a message, whoever wrote it. Here a text is encoded
together with the template around it, exactly as the tokenizer does it. Only if the result contains other control tokens
than the template's own, the text is cut inside each spelling of a control token and encoded piece by piece; the tokens
then read the same, and none of them is a control token. Text without such a spelling therefore keeps its tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import pairwise
from typing import Any

from agentgym_hindsight.hindsight.control_text import control_texts

__all__ = ["ControlTokens"]

#: The text before the content, the content, and the text after it.
Parts = tuple[str, str, str]

_SURROGATE = re.compile("[\ud800-\udfff]")
#: ``<think>`` or ``</think>``.
_TAG = re.compile(r"</?([^\s<>/|]+)>")
#: A word in angle or square brackets. Other added tokens, such as runs of line feeds, are ordinary text.
_MARKER = re.compile(r"[<\[]\S*[A-Za-z]\S*[>\]]")


class ControlTokens:
    """The control tokens of a tokenizer, and the encoding of texts that must not contain any.

    Control tokens are

    * the tokenizer's special tokens;
    * other added tokens that are spelled like the control tokens of common models (``<|fim_prefix|>``, ``<｜User｜>``);
    * other added tokens in brackets that the template writes (``rendered`` is a chat in the template).

    Tags that are added in pairs (``<think>`` and ``</think>``, ``<tool_call>`` and ``</tool_call>``) are not, unless
    the tokenizer declares them special: protocols ask for them, and a policy has to write them.
    """

    def __init__(self, tokenizer: Any, rendered: str) -> None:
        self.tokenizer = tokenizer
        self._is_control: Callable[[int], bool] = frozenset(spellings := self._find(rendered)).__contains__
        # Characters that are missing in the vocabulary become this token. They are text.
        self._unknown = getattr(tokenizer, "unk_token_id", None)
        self._starts = _starts(set(spellings.values()))

    def of(self, ids: Iterable[int]) -> tuple[int, ...]:
        """The control tokens among ``ids``, in their order."""
        return tuple(filter(self._is_control, ids))

    def plain(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """The tokens of texts, control tokens included, in one call of the tokenizer."""
        # A chat template already contains the tokens that the tokenizer would add.
        try:
            encoded = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        except TypeError:  # lone surrogates, which JSON from a server can contain, have no encoding
            whole = [_SURROGATE.sub("\ufffd", text) for text in texts]
            encoded = self.tokenizer(whole, add_special_tokens=False)["input_ids"]
        return [tuple(ids) for ids in encoded]

    def encode(
        self, texts: Sequence[str], expected: tuple[int, ...], parts: Callable[[int], Parts]
    ) -> list[tuple[int, ...]]:
        """The tokens of texts, whose control tokens must be ``expected``.

        ``parts(index)`` splits a text; it is called only for a text that contains other control tokens.
        """
        encoded = self.plain(texts)
        return [
            ids if self.of(ids) == expected else self._apart(ids, expected, parts(index))
            for index, ids in enumerate(encoded)
        ]

    def encode_text(self, text: str) -> tuple[int, ...]:
        """The tokens of one text, none of them a control token."""
        return self.encode([text], (), lambda _: ("", text, ""))[0]

    def encode_parts(
        self, around: Sequence[str], contents: Sequence[str], expected: tuple[int, ...]
    ) -> tuple[int, ...]:
        """The tokens of contents with a template's text ``around`` them, one part more than there are contents.

        ``expected`` are the control tokens of the template.
        """
        parts: list[str] = []
        cuts, length = [0], 0
        for index, content in enumerate(contents):
            begin = length + len(around[index])
            cuts += [begin + match.start() + 1 for match in self._starts.finditer(content)]
            parts += [around[index], content]
            length = begin + len(content)
        text = "".join([*parts, around[-1]])
        ids = self._joined(text[begin:end] for begin, end in pairwise([*cuts, len(text)]))
        if self._known(self.of(ids)) == self._known(expected):
            return ids
        templates = self.plain(around)
        tokens = [*templates[0]]
        for content, template in zip(contents, templates[1:], strict=True):
            pieces = [piece for piece in re.split(r"(?<=[<\[])", content) if piece]
            tokens += [token for token in self._joined(pieces) if not self._is_control(token)]
            tokens += template
        return tuple(tokens)

    # -- private ------------------------------------------------------------------------------------------------------

    def _find(self, rendered: str) -> dict[int, str]:
        """The control tokens and their spellings."""
        entries = getattr(self.tokenizer, "added_tokens_decoder", {})
        added: dict[int, str] = {token: entry.content for token, entry in entries.items()}
        control = {token for token, entry in entries.items() if entry.special}
        control |= {token for token, spelling in added.items() if control_texts(spelling) == (spelling,)}
        written = self.plain([rendered])[0]
        control |= {token for token in written if token in added and _is_marker(added[token], set(added.values()))}
        spellings = {token: added[token] for token in control}
        for name in getattr(self.tokenizer, "all_special_tokens", ()):
            spellings[self.tokenizer.convert_tokens_to_ids(name)] = name
        # Some tokenizers declare an ordinary character as the padding, such as "!".
        return {token: spelling for token, spelling in spellings.items() if len(spelling) > 1}

    def _apart(self, ids: tuple[int, ...], expected: tuple[int, ...], parts: Parts) -> tuple[int, ...]:
        head, content, tail = parts
        starts = [match.start() + 1 for match in self._starts.finditer(content)]
        if not starts and self._known(self.of(ids)) == self._known(expected):
            return ids  # only characters that are missing in the vocabulary
        text = head + content + tail
        cuts = [0, *(len(head) + start for start in starts), len(text)]
        ids = self._joined(text[begin:end] for begin, end in pairwise(cuts))
        if self._known(self.of(ids)) == self._known(expected):
            return ids
        # The tokenizer changes the text before it looks for tokens: another spelling, or one across the border to the
        # template. Drop the tokens in question.
        pieces = [piece for piece in re.split(r"(?<=[<\[])", content) if piece]
        inner = tuple(token for token in self._joined(pieces) if not self._is_control(token))
        before, after = self.plain([head, tail])
        return (*before, *inner, *after)

    def _joined(self, pieces: Iterable[str]) -> tuple[int, ...]:
        return tuple(token for ids in self.plain([*pieces]) for token in ids)

    def _known(self, ids: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(token for token in ids if token != self._unknown)


def _starts(spellings: Collection[str]) -> re.Pattern[str]:
    """Matches the empty text before each spelling, also where spellings overlap."""
    if not spellings:
        return re.compile("(?!)")
    first = "".join(sorted({spelling[0] for spelling in spellings}))
    # A model may have a thousand reserved tokens: most characters are passed over without a look at the alternatives.
    return re.compile(f"(?=[{re.escape(first)}])(?=(?:{'|'.join(map(re.escape, sorted(spellings)))}))")


def _is_marker(spelling: str, added: Collection[str]) -> bool:
    if not _MARKER.fullmatch(spelling):
        return False
    tag = _TAG.fullmatch(spelling)
    return tag is None or f"<{tag[1]}>" not in added or f"</{tag[1]}>" not in added
