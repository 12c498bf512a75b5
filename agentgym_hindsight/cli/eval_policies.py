"""The policies that ``agh eval`` can play: their names, the packages that they need, and how they are opened."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from difflib import get_close_matches
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from agentgym_hindsight.baselines.models import model_source
from agentgym_hindsight.baselines.policies.base import Policy
from agentgym_hindsight.baselines.policies.scripted import scripted_policy
from agentgym_hindsight.baselines.requirements import require_train
from agentgym_hindsight.cli.model_options import endpoint_options
from agentgym_hindsight.cli.parsing import server_and_model
from agentgym_hindsight.cli.terminal import console
from agentgym_hindsight.errors import DamagedDataError, HindsightError, MissingExtraError, UnknownNameError, UsageError
from agentgym_hindsight.printable import printable_line
from agentgym_hindsight.redaction import hide_passwords
from agentgym_hindsight.tasks import content_hash

__all__ = [
    "KINDS",
    "PROMPTED",
    "PolicyFactory",
    "canonical_policy",
    "check_policy",
    "is_scripted",
    "model_folder",
    "open_policy",
    "policy_kind",
    "split_prompting",
    "weights_key",
]

_SCRIPTED = ("expert", "seeking-expert", "random", "replay", "webshop-rule")
_MODELS = ("endpoint:URL#MODEL", "vllm:MODEL", "PATH")
#: The forms of ``--policy``, for help texts and error messages.
KINDS = ("expert", "expert:NOISE", "seeking-expert", "random", "replay:FILE", "webshop-rule", *_MODELS)

_PROMPTING = ("react", "reflexion")
#: These play any of the policies above, with demonstrations and, in trials, with reflections.
PROMPTED = ("react:POLICY", "reflexion:POLICY")

#: (temperature, seed) → the policy that plays with them.
PolicyFactory = Callable[[float, int], Policy]


def split_prompting(policy: str) -> tuple[str, str]:
    """``react`` or ``reflexion`` and the policy inside; "" and the name for any other policy.

    >>> split_prompting("react:expert:0.3"), split_prompting("expert")
    (('react', 'expert:0.3'), ('', 'expert'))
    """
    kind, colon, inner = policy.partition(":")
    return (kind, inner) if colon and kind in _PROMPTING else ("", policy)


def canonical_policy(policy: str) -> str:
    """The name as it is stored: the kind of a scripted policy in lower case."""
    kind, colon, argument = policy.strip().partition(":")
    if kind.lower() in _PROMPTING and not Path(policy).exists():
        return f"{kind.lower()}:{canonical_policy(argument)}" if argument.strip() else kind.lower()
    if kind.lower() in _SCRIPTED and not Path(policy).exists():
        return f"{kind.lower()}{colon}{argument}"
    return policy


def is_scripted(policy: str) -> bool:
    """Whether the name is a scripted policy. A misspelt name raises :class:`UnknownNameError`."""
    policy = split_prompting(policy)[1]
    kind = policy.partition(":")[0]
    if kind in _SCRIPTED:
        return True
    if (
        kind not in ("endpoint", "vllm")
        and not Path(policy).exists()
        and get_close_matches(kind, (*_SCRIPTED, *_PROMPTING), 1, 0.75)
    ):
        raise UnknownNameError(
            "policy", hide_passwords(policy), (*KINDS, *PROMPTED)
        )  # "exprt" is a typing error, not a model's name
    return False


def policy_kind(policy: str) -> str:
    """``scripted``, ``endpoint``, ``vllm`` or ``local``, also inside ``react:`` and ``reflexion:``."""
    if is_scripted(policy):
        return "scripted"
    kind = split_prompting(policy)[1].partition(":")[0]
    return kind if kind in ("endpoint", "vllm") else "local"


def check_policy(policy: str, *, prompting: bool = False) -> None:
    """Raise if the name is malformed or an extra is missing, before anything is written.

    ``prompting``: whether the command can play ``react:`` and ``reflexion:``.
    """
    prompted, inner = split_prompting(policy)
    if prompted:
        shown = hide_passwords(policy)
        if not prompting:
            raise UsageError(
                f"Expected a policy without {prompted}: here, got {shown!r}; try {hide_passwords(inner)!r}."
            )
        if not inner or split_prompting(inner)[0]:
            raise UsageError(f"Expected {prompted}:POLICY, got {shown!r}; try {prompted}:expert, or a model's folder.")
        policy = inner
    elif policy in _PROMPTING and not Path(policy).exists():
        raise UsageError(f"Expected {policy}:POLICY, got {policy!r}; try {policy}:expert, or a model's folder.")
    kind, _, argument = policy.partition(":")
    if is_scripted(policy):
        scripted_policy(policy)
    elif kind == "endpoint":
        server_and_model("endpoint:", argument)
    else:
        require_packages(kind)


def require_packages(kind: str) -> None:
    """Raise :class:`MissingExtraError` if the packages of a local model are not installed."""
    if kind != "vllm":
        require_train("evaluating a local model")
    elif find_spec("vllm") is None:
        raise MissingExtraError("vllm", "vllm", "Evaluating a model with vLLM")


def model_folder(policy: str) -> Path:
    """The folder that a model is read from. It does not exist if the model comes from a hub."""
    return Path(split_prompting(policy)[1].removeprefix("vllm:"))


def weights_key(policy: str) -> str:
    """A hash that changes when the weights in the model's folder change; "" for a model that is not in a folder."""
    if policy_kind(policy) == "endpoint":  # the name of its model may be that of a GGUF file
        return ""
    folder = Path(model_source(model_folder(policy)))
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    stats = [(file.name, file.stat()) for file in files]
    return content_hash(*(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in stats)) if stats else ""


@contextmanager
def open_policy(options: argparse.Namespace) -> Iterator[PolicyFactory]:
    """Yield the factory of the policies. A model is loaded once, by the first call of the factory."""
    name = split_prompting(options.policy)[1]
    kind, _, argument = name.partition(":")
    if is_scripted(name):
        yield lambda _, seed: scripted_policy(name, seed=seed)
    elif kind == "endpoint":
        from agentgym_hindsight.baselines.policies.endpoint import EndpointPolicy

        url, model = server_and_model("endpoint:", argument)
        more = {"max_tokens": options.max_new_tokens, "concurrency": options.num_envs, **endpoint_options(options)}
        with EndpointPolicy(url, model, **more) as policy:
            yield _one_model(name, lambda: policy)
            if policy.failures:
                console.print(f"{policy.failures} turn(s) got no answer and were played as empty replies.")
    elif kind == "vllm":
        from agentgym_hindsight.baselines.policies.vllm import open_vllm

        lengths = {"max_prompt_tokens": options.max_prompt_tokens, "max_tokens": options.max_new_tokens}
        with ExitStack() as stack:

            def load() -> Any:
                policy = open_vllm(argument, template=options.template, **lengths, **options.engine)
                stack.callback(policy.close)  # the next policy of the command needs the memory
                return policy

            yield _one_model(name, load)
    else:
        from agentgym_hindsight.baselines.policies.transformers import TransformersPolicy

        yield _one_model(
            name,
            lambda: TransformersPolicy.load(
                name,
                temperature=0.0,
                seed=0,
                max_new_tokens=options.max_new_tokens,
                max_prompt_tokens=options.max_prompt_tokens,
                template=options.template,
                native=options.generate,
            ),
        )


def _one_model(name: str, load: Callable[[], Any]) -> PolicyFactory:
    """One model for all temperatures and seeds, because loading it takes long."""
    load_once = lru_cache(maxsize=1)(partial(_load, name, load))

    def configured(temperature: float, seed: int) -> Policy:
        policy: Any = load_once()
        policy.temperature, policy.seed = temperature, seed
        same: Policy = policy
        return same

    return configured


def _load(name: str, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except (HindsightError, MemoryError):
        raise
    except Exception as error:  # libraries raise many kinds for a missing, damaged or unknown model
        raise DamagedDataError(
            f"Expected a model that can be loaded as {name!r}, got {type(error).__name__}: "
            f"{printable_line(str(error), 300)}; try a folder with config.json and weights, or a name on a hub."
        ) from error
