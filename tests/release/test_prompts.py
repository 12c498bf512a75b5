"""The release's prompts from a template file, and its page texts of WebShop, against its own code on the same games.

The templates are read from the release when the test runs, and written in Jinja's syntax into a file of the test.
"""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import pytest

pytest.importorskip("jinja2", reason="needs the extra [train]")

import agentgym_hindsight  # noqa: F401
from agentgym_hindsight.wrappers import ActionParser, PromptProtocol
from agentgym_hindsight.wrappers.parsing import format_response
from tests.release.released_code import needs_release, released

pytestmark = [needs_release, pytest.mark.slow]
EPISODES, TURNS = 60, 20

#: The fields of the release's templates in ours.
FIELDS = {
    "task_description": "{{ goal }}",
    "step_count": "{{ steps }}",
    "history_length": "{{ history | length }}",
    "action_history": (
        "{% for turn in history %}[Observation {{ turn.number }}: '{{ turn.observation }}', "
        "Action {{ turn.number }}: '{{ turn.action }}']{% if not loop.last %}\n{% endif %}{% endfor %}"
    ),
    "current_step": "{{ step }}",
    "current_observation": "{{ observation }}",
    "admissible_actions": (
        "{% for action in actions if action != 'help' %}'{{ action }}'{% if not loop.last %}\n {% endif %}{% endfor %}"
    ),
    "available_actions": (
        "{% if search_bar %}'search[<your query>]',{% if actions %}\n{% endif %}{% endif %}"
        "{% for action in actions %}'{{ action }}',{% if not loop.last %}\n{% endif %}{% endfor %}"
    ),
}


def template_file(folder: Path, world: str) -> str:
    yaml = pytest.importorskip("yaml", reason="needs the extra [train]")
    prompts = released(f"agent_system/environments/prompts/{world}.py")
    name = f"{world.upper()}_TEMPLATE"
    texts = {"first": getattr(prompts, f"{name}_NO_HIS"), "prompt": getattr(prompts, name)}
    made = {key: re.sub(r"{(\w+)}", lambda match: FIELDS[match[1]], text) for key, text in texts.items()}
    made = {
        key: re.sub(r"\n\Z", '{{ "\\\\n" }}', text) for key, text in made.items()
    }  # Jinja drops the last line break
    settings = {**made, "history": 2, "parser": "verl-agent-2025"}
    if world == "webshop":
        settings["longest"] = 13000
    path = folder / f"{world}.yaml"
    path.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    return f"file:{path}"


def manager(world: str, name: str) -> Any:
    """The release's manager of an env, without the env."""
    module = released("agent_system/environments/env_manager.py")
    prompts = released(f"agent_system/environments/prompts/{world}.py")
    module.__dict__.update({key: value for key, value in vars(prompts).items() if key.isupper()})
    made = object.__new__(getattr(module, name))
    made.memory = released("agent_system/memory/memory.py").SimpleMemory()
    made.memory.reset(1)
    made.config = SimpleNamespace(env=SimpleNamespace(history_length=2))
    return made


def test_prompts_of_alfworld(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = manager("alfworld", "AlfWorldEnvironmentManager")
    bare_env = gym.make("ALFWorld-Hindsight-v0", data="embedded", max_steps=50)
    env = ActionParser(PromptProtocol(bare_env, template_file(tmp_path, "alfworld")))
    compared, different = 0, []
    for seed in range(EPISODES):
        prompt, info = env.reset(seed=seed)
        env.action_space.seed(seed)
        bare = env.unwrapped
        theirs.memory.reset(1)
        observation, actions = bare.trajectory().final_observation, info["admissible_actions"]
        theirs.tasks = []
        theirs.extract_task([observation])
        expected = theirs.build_text_obs([observation], [actions], init=True)[0]
        for turn in range(TURNS):
            compared += 1
            if prompt != expected:
                different.append((prompt, expected))
            action = actions[(seed * 7 + turn * 5) % len(actions)]
            prompt, _, terminated, truncated, info = env.step(format_response(action))
            theirs.memory.store({"text_obs": [observation], "action": [action]})
            observation, actions = bare.trajectory().steps[-1].feedback, info["admissible_actions"]
            expected = theirs.build_text_obs([observation], [actions])[0]
            if terminated or truncated:
                break
    with capsys.disabled():
        print(f"\nprompts of ALFWorld: {compared} compared, {len(different)} differ")
    assert not different, first_difference(different[0])


def test_pages_and_prompts_of_webshop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = manager("webshop", "WebshopEnvironmentManager")
    raw = gym.make("WebShop-Hindsight-v0", data="embedded", rules="official", observation_mode="text", max_steps=15)
    env = ActionParser(
        PromptProtocol(
            gym.make("WebShop-Hindsight-v0", data="embedded", rules="official", texts="verl-agent", max_steps=15),
            template_file(tmp_path, "webshop"),
        )
    )
    pages, compared, different = 0, 0, []
    for seed in range(EPISODES):
        page, _ = raw.reset(seed=seed)
        prompt, info = env.reset(seed=seed)
        theirs.memory.reset(1)
        theirs.tasks = theirs.extract_task([page])
        shown, first = theirs.format_obs([page])[0], True
        for turn in range(TURNS):
            actions = info["admissible_actions"]
            clicks = [action[len("click[") : -1] for action in actions if action.startswith("click[")]
            available = {"has_search_bar": "search" in clicks, "clickables": clicks}
            expected = theirs.build_text_obs([shown], [{"available_actions": available}], init=first)[0]
            compared += 1
            if prompt != expected:
                different.append((prompt, expected))
            action = (
                "search[red shoes]" if available["has_search_bar"] else actions[(seed * 7 + turn * 5) % len(actions)]
            )
            page, _, *ended, _ = raw.step(action)
            prompt, _, terminated, truncated, info = env.step(format_response(action))
            theirs.memory.store({"text_obs": [shown], "action": [action]})
            shown, first = theirs.format_obs([page])[0], False
            pages += 1
            if shown != env.unwrapped.trajectory().steps[-1].feedback:
                different.append((env.unwrapped.trajectory().steps[-1].feedback, shown))
            if terminated or truncated or any(ended):
                break
    with capsys.disabled():
        print(f"\nWebShop: {pages} pages and {compared} prompts compared, {len(different)} differ")
    assert not different, first_difference(different[0])


def first_difference(pair: tuple[str, str]) -> str:
    place = next((k for k, (a, b) in enumerate(zip(*pair, strict=False)) if a != b), min(map(len, pair)))
    ours, theirs = (text[max(0, place - 60) : place + 60] for text in pair)
    return f"at {place}: ours {ours!r}, theirs {theirs!r}"
