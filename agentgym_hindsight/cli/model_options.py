"""Options of ``agh eval`` that change how a model is asked: its chat template, its engine and its requests."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from typing import Any

from agentgym_hindsight.baselines.policies.chat import SYSTEM
from agentgym_hindsight.cli.parsing import json_or_text, text
from agentgym_hindsight.errors import UsageError

__all__ = ["add_model_arguments", "check_model_options", "endpoint_options", "model_terms", "read_model_options"]

#: The options, and the kinds of policies that use them.
_USED_BY = {
    "max_prompt_tokens": ("local", "vllm"),
    "template": ("local", "vllm", "endpoint"),
    "system": ("local", "vllm", "endpoint"),
    "engine": ("vllm",),
    "extra_body": ("endpoint",),
}
_CURES = {
    "max_prompt_tokens": "the setting of the server, which limits the prompts of its model (of vllm serve: "
    "--max-model-len), or --history",
    "engine": "it with vllm:MODEL",
    "extra_body": "it with endpoint:URL#MODEL",
}


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--template``, ``--system``, ``--engine`` and ``--extra-body``."""
    parser.add_argument(
        "--template",
        action="append",
        metavar="NAME=VALUE",
        help="an argument of the chat template, such as enable_thinking=false; repeatable (default: that of the "
        "training run). A server gets it as chat_template_kwargs, which vLLM and SGLang know",
    )
    parser.add_argument("--system", type=text, help="a system message before every prompt")
    parser.add_argument(
        "--engine",
        action="append",
        metavar="NAME=VALUE",
        help="an argument of vLLM's engine for vllm:MODEL, such as enforce_eager=true or dtype=float32; repeatable",
    )
    parser.add_argument(
        "--extra-body",
        action="append",
        metavar="NAME=VALUE",
        help="a further field of the requests to endpoint:URL#MODEL, such as top_p=0.9; null removes one; repeatable",
    )


def check_model_options(options: argparse.Namespace, kinds: Collection[str]) -> None:
    """Raise if an option has a wrong form, or is given although no policy of these kinds uses it."""
    for name, users in _USED_BY.items():
        # A command may have only some of the options.
        if getattr(options, name, None) and not set(kinds) & set(users):
            option = "--" + name.replace("_", "-")
            cure = _CURES.get(name, "it with a model") if set(kinds) != {"scripted"} else "it with a model"
            raise UsageError(
                f"Expected {option} with a policy that uses it, got it with {' and '.join(sorted(kinds))} policies "
                f"only; try {cure}."
            )
    for name in ("template", "engine", "extra_body"):
        _pairs(options, name)


def read_model_options(options: argparse.Namespace, trained_with: dict[str, Any]) -> None:
    """Replace the words of the options by their values. ``trained_with``: the template of the policy's training run."""
    own = _pairs(options, "template")
    if system := getattr(options, "system", None):
        own[SYSTEM] = system
    options.own_template = own
    options.template = {**trained_with, **own}
    options.engine, options.extra_body = _pairs(options, "engine"), _pairs(options, "extra_body")


def endpoint_options(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of an :class:`~agentgym_hindsight.baselines.policies.endpoint.EndpointPolicy`."""
    template = {name: value for name, value in options.own_template.items() if name != SYSTEM}
    body = dict(options.extra_body)
    if template:
        given = body.get("chat_template_kwargs")
        body["chat_template_kwargs"] = {**template, **(given if isinstance(given, dict) else {})}
    return {"system": options.own_template.get(SYSTEM), "extra_body": body}


def model_terms(options: argparse.Namespace, kind: str) -> dict[str, Any]:
    """The options that determine the replies of a policy of this kind, to be stored with its rollouts."""
    if kind == "endpoint":
        body = {"extra_body": options.extra_body} if options.extra_body else {}
        return {"max_new_tokens": options.max_new_tokens, "template": options.own_template, **body}
    engine = {"engine": options.engine} if kind == "vllm" and options.engine else {}
    return {
        "max_prompt_tokens": options.max_prompt_tokens,
        "max_new_tokens": options.max_new_tokens,
        "template": options.template,
        **engine,
    }


def _pairs(options: argparse.Namespace, option: str) -> dict[str, Any]:
    given = getattr(options, option, None)  # a command may have only some of the options
    if isinstance(given, dict):
        return dict(given)
    flag = "--" + option.replace("_", "-")
    values: dict[str, Any] = {}
    for pair in given or ():
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"Expected {flag} NAME=VALUE, got {pair[:200]!r}; try {flag} {_EXAMPLES[option]}.")
        values[name.strip()] = json_or_text(f"{flag} {name.strip()[:60]}", value)
    return values


_EXAMPLES = {"template": "enable_thinking=false", "engine": "enforce_eager=true", "extra_body": "top_p=0.9"}
