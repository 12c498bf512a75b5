"""The release's prompts of AppWorld from a template file, against its own code on the same tasks.

The templates are read from the release when the test runs. The fields of a template have no account of the person for
whom the agent acts; the first observation names it.
"""

from __future__ import annotations

import random
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import pytest

pytest.importorskip("jinja2", reason="needs the extra [train]")
yaml = pytest.importorskip("yaml", reason="needs the extra [train]")

import agentgym_hindsight  # noqa: E402, F401
from agentgym_hindsight.wrappers import ActionParser, PromptProtocol  # noqa: E402
from tests.release.released_code import needs_release, released  # noqa: E402

pytestmark = [needs_release, pytest.mark.slow]
EPISODES, TURNS = 40, 5

_PERSON = "first_observation.split(' (')[0].removeprefix('You act for ').split(' ')"
_ACCOUNT = "(first_observation.split(') by ')[0].split(' (') | last).split(', phone ')"
#: The fields of the release's templates in ours. The result of a turn is the observation before the next one.
FIELDS = {
    "supervisor_first_name": f"{{{{ {_PERSON} | first }}}}",
    "supervisor_last_name": f"{{{{ {_PERSON} | last }}}}",
    "supervisor_email": f"{{{{ {_ACCOUNT} | first }}}}",
    "supervisor_phone_number": f"{{{{ {_ACCOUNT} | last }}}}",
    "task_description": "{{ goal }}",
    "step_count": "{{ steps }}",
    "history_length": "{{ history | length }}",
    "action_history": (
        "{% set shown %}{% for turn in history %}\nCode {{ turn.number }}: \n{{ turn.action }}\n\n"
        "Result {{ turn.number }}: \n"
        "{{ observation if loop.last else history[loop.index].observation }}{{ '\\n' }}{% endfor %}{% endset %}"
        "{{ (shown if shown | length <= 10000 else '... ' + shown[-10000:]).strip() }}"
    ),
    "current_step": "{{ step }}",
    "current_observation": "{{ observation }}",
}
PROGRAMS = (
    "print(1)",
    "\nx = 1\n",
    "for number in range(900):\n    print('a line of a long result', number)\n",
    "print(apis.supervisor.show_profile())",
    "1 / 0",
    "print('{{ goal }} {% raw %} {x}')",
)


def template(text: str) -> str:
    """A template of ``str.format`` as one of Jinja."""
    marked = text.format(**{name: f"\0{name}\0" for name in FIELDS})
    parts = re.split("\0(\\w+)\0", marked)
    return "".join(
        FIELDS[part] if number % 2 else f"{{% raw %}}{part}{{% endraw %}}" for number, part in enumerate(parts)
    )


def template_file(folder: Path) -> str:
    prompts = released("agent_system/environments/prompts/appworld.py")
    settings = {
        "first": template(prompts.APPWORLD_TEMPLATE_NO_HIS),
        "prompt": template(prompts.APPWORLD_TEMPLATE),
        "history": 2,
        "parser": "code-tags",
    }
    path = folder / "appworld.yaml"
    path.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    return f"file:{path}"


def manager() -> Any:
    """The release's manager of AppWorld, without AppWorld."""
    module = released("agent_system/environments/env_manager.py")
    prompts = released("agent_system/environments/prompts/appworld.py")
    module.__dict__.update({key: value for key, value in vars(prompts).items() if key.isupper()})
    made = object.__new__(module.AppWorldEnvironmentManager)
    made.memory = released("agent_system/memory/memory.py").SimpleMemory()
    made.config = SimpleNamespace(env=SimpleNamespace(history_length=2))
    return made


def test_prompts_of_appworld(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs, rng = manager(), random.Random(0)
    project = released("agent_system/environments/env_package/appworld/projection.py").appworld_projection
    env = ActionParser(PromptProtocol(gym.make("AppWorld-Hindsight-v0", max_steps=20), template_file(tmp_path)))
    compared, cut, different = 0, 0, []
    for seed in range(EPISODES):
        prompt, info = env.reset(seed=seed)
        person = re.match(r"You act for (\w+) (\w+) \((\S+), phone (\d+)\)", info["raw_observation"])
        assert person is not None
        names = ("first_name", "last_name", "email", "phone_number")
        theirs.supervisors = [dict(zip(names, person.groups(), strict=True))]
        theirs.tasks = [info["goal"]]
        theirs.memory.reset(1)
        expected = theirs.build_text_obs([info["goal"]], init=True)[0]
        for _ in range(TURNS):
            compared += 1
            if prompt != expected:
                different.append((prompt, expected))
            reply = f"<think>Hm.</think><code>{rng.choice(PROGRAMS)}</code>" if rng.random() < 0.9 else "no program"
            prompt, _, terminated, truncated, info = env.step(reply)
            (action,), _ = project([reply])
            result = info["raw_observation"]
            theirs.memory.store({"text_obs": [result], "action": [action]})
            expected = theirs.build_text_obs([result])[0]
            cut += "... " in expected and len(expected) > 10_000
            if terminated or truncated:
                break
    env.close()
    with capsys.disabled():
        print(f"\nprompts of AppWorld: {compared} compared, {cut} of them cut, {len(different)} differ")
    assert cut > 0
    assert not different, first_difference(*different[0])


def first_difference(ours: str, theirs: str) -> str:
    place = next((k for k, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
    return f"at {place}: ours {ours[place - 60 : place + 60]!r}, theirs {theirs[place - 60 : place + 60]!r}"
