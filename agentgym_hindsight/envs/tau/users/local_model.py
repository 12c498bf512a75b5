"""A user that is a local model, loaded with transformers."""

from __future__ import annotations

from typing import Any

from agentgym_hindsight.envs.tau.users.chat_user import ChatUser
from agentgym_hindsight.errors import DamagedDataError, MissingExtraError

__all__ = ["model_user"]

_LOADED: dict[str, tuple[Any, Any]] = {}
_LONGEST_REPLY = 256  # tokens


def model_user(path: str) -> ChatUser:
    """A user from a folder with a model, or a name on a hub. It is loaded once a process; it decodes greedily."""

    def complete(messages: list[dict[str, str]], seed: int) -> str:
        model, tokenizer = _load(path)
        prompt = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        prompt = prompt.to(model.device)
        made = model.generate(**prompt, max_new_tokens=_LONGEST_REPLY, do_sample=False)
        return str(tokenizer.decode(made[0][prompt["input_ids"].shape[1] :], skip_special_tokens=True))

    return ChatUser(f"model:{path.rstrip('/').rpartition('/')[2]}", complete)


def _load(path: str) -> tuple[Any, Any]:
    if path not in _LOADED:
        try:
            from transformers import AutoModelForCausalLM, AutoTokenizer
        except ImportError as error:
            raise MissingExtraError("transformers", "train", "A user that is a local model") from error
        try:
            _LOADED[path] = AutoModelForCausalLM.from_pretrained(path).eval(), AutoTokenizer.from_pretrained(path)
        except Exception as error:  # the library raises many kinds for a missing or damaged model
            raise DamagedDataError(
                f"Expected a model for the user at {path!r}, got {type(error).__name__}: {error}; "
                "try a folder with config.json and weights."
            ) from error
    return _LOADED[path]
