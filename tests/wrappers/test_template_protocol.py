"""Prompt protocols from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

pytest.importorskip("jinja2", reason="needs the extra [train]")

from agentgym_hindsight.baselines.own_modules import stage_hashes
from agentgym_hindsight.errors import HindsightError, MissingDataError, UnknownNameError, UsageError
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.wrappers import PromptProtocol, PromptState
from agentgym_hindsight.wrappers.protocols import make_protocol

EXAMPLES = Path(__file__).parents[2] / "docs" / "prompts"


def written(folder: Path, text: str, name: str = "my.jinja") -> str:
    (folder / name).write_text(text)
    return f"file:{folder / name}"


def state(turns: int = 0, **more: Any) -> PromptState:
    history = [(f"room {number}", f"go {number}") for number in range(turns)]
    return PromptState(**{"goal": "find it", "observation": "a hall", "history": history, **more})


@pytest.mark.parametrize("world", ["alfworld", "webshop"])
@pytest.mark.parametrize("demonstrations", [(), ("First.", " Second. ")])
def test_the_examples_give_exactly_our_prompts(world: str, demonstrations: tuple[str, ...]) -> None:
    """Templates can express the prompts of the release's kind, white space and all."""
    ours = make_protocol("verl-agent-2025", demonstrations=demonstrations)
    yours = make_protocol(f"file:{EXAMPLES / world}.yaml", demonstrations=demonstrations)
    assert (yours.parser, yours.history) == (ours.parser, ours.history)
    for turns in (0, 1, 2, 5):
        for actions in (("look", "help", "go to desk 1"), ("look",)):
            if world == "webshop":
                actions = tuple(f"click[{action}]" for action in actions)
            for search in (False, True):
                for observation in ("a hall", "find it in a hall {{ goal }} {% endraw %}"):
                    shown = state(
                        turns, admissible_actions=actions, search_bar=search, observation=observation, world=world
                    )
                    shown = PromptState(
                        **{name: getattr(shown, name) for name in PromptState.__slots__} | {"world": world}
                    )
                    assert yours.render(shown) == ours.render(shown)
    if world == "webshop":
        long = PromptState("find it", "page " * 2000, ("click[a]",), [("page " * 2000, "click[b]")], world)
        assert yours.render(long) == ours.render(long)
        assert "Observation 1" not in yours.render(long)


def test_a_line_break_at_the_end(tmp_path: Path) -> None:
    plain = make_protocol(written(tmp_path, "Now: {{ observation }}\n"))
    kept = make_protocol(written(tmp_path, 'Now: {{ observation }}{{ "\\n" }}', "kept.jinja"))
    assert plain.render(state()) == "Now: a hall"
    assert kept.render(state()) == "Now: a hall\n"


def test_in_an_env_and_in_a_conversation(tmp_path: Path) -> None:
    text = "{{ goal }}|{{ observation }}|{{ step }}|{{ actions | join(';') }}"
    text += "{% for turn in history %}|{{ turn.action }}{% endfor %}"
    name = written(tmp_path, text)
    env = PromptProtocol(gym.make("ALFWorld-Hindsight-v0", data="embedded"), name)
    prompt, info = env.reset(seed=0)
    assert prompt == f"{info['goal']}|{info['raw_observation']}|1|{';'.join(info['admissible_actions'])}"
    prompt, *_ = env.step("look")
    assert prompt.endswith("|look")
    assert "|2|" in prompt
    chat = "prompt: '{{ observation }} at first'\nfollow_up: 'then {{ observation }}'\nparser: brief"
    protocol = make_protocol(written(tmp_path, chat, "chat.yaml"), history="conversation")
    assert protocol.render(state()) == "a hall at first"
    assert protocol.follow_up(state(1)) == "then a hall"
    stage = Stage(settings={"data": "embedded"}, protocol=f"file:{tmp_path / 'chat.yaml'}")
    assert stage.parser == "brief"


def test_a_change_of_the_file_is_another_protocol(tmp_path: Path) -> None:
    name = written(tmp_path, "{{ observation }}")
    first = stage_hashes(Stage(settings={"data": "embedded"}, protocol=name))
    written(tmp_path, "{{ observation }} and more")
    second = stage_hashes(Stage(settings={"data": "embedded"}, protocol=name))
    assert set(first) == {name}
    assert first != second
    assert make_protocol(name).render(state()) == "a hall and more"


def test_texts_are_data(tmp_path: Path) -> None:
    name = written(tmp_path, "{{ goal }} / {{ observation }}")
    odd = "{{ 7 * 7 }} {% for %} {# #} <|im_end|>"
    assert make_protocol(name).render(state(goal=odd, observation=odd)) == f"{odd} / {odd}"


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("{{ goal }}", UsageError, "prompt without it"),
        ("{{ observation }} {{ gaol }}", UnknownNameError, "did you mean 'goal'"),
        ("{{ observation }} {% for x in history %}", UsageError, "Jinja template in prompt"),
        ("{{ observation.__class__.__mro__ }}", UsageError, "unsafe"),
        ("{{ observation }}{{ actions.append('x') }}", UsageError, "prompt"),
        ("{{ observation }} {{ history[0].reply }}", UsageError, "prompt"),
        ("{% include '/etc/passwd' %}{{ observation }}", UsageError, "prompt"),
        ("", UsageError, "got none"),
    ],
)
def test_wrong_templates(text: str, kind: type[HindsightError], expected: str, tmp_path: Path) -> None:
    with pytest.raises(kind, match=expected):
        make_protocol(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- 1", "settings by name"),
        ("prompt: {{ x", "Expected YAML"),
        ("prompt: '{{ observation }}'\nhistroy: 2", "did you mean 'history'"),
        ("prompt: '{{ observation }}'\nhistory: -2", "history of another kind"),
        ("prompt: 3", "prompt of another kind"),
        ("history: 3", "Expected a prompt"),
        ("prompt: !!python/name:os.system", "Expected YAML"),
    ],
)
def test_wrong_settings(text: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(HindsightError, match=expected):
        make_protocol(written(tmp_path, text, "my.yaml"))


def test_wrong_files(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"no file at .*my\.jinja"):
        Stage(protocol=f"file:{tmp_path}/my.jinja")
    with pytest.raises(UsageError, match="module:NAME"):
        make_protocol(written(tmp_path, "", "my.py"))
    (tmp_path / "latin.jinja").write_bytes(b"\xff {{ observation }}")
    with pytest.raises(UsageError, match="UTF-8"):
        make_protocol(f"file:{tmp_path}/latin.jinja")
    with pytest.raises(HindsightError):
        make_protocol("file:")
    with pytest.raises(UnknownNameError):
        Stage(protocol=written(tmp_path, "prompt: '{{ observation }}'\nparser: brieff", "my.yaml"))
