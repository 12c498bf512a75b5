"""Users: what the script says and when it ends, models with the benchmark's roles, and users that fail."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

import agentgym_hindsight  # noqa: F401  # registers the ids
from agentgym_hindsight.baselines.policies.scripted import RandomPolicy
from agentgym_hindsight.baselines.rollout import assignments, rollout
from agentgym_hindsight.envs.tau.desk import DeskTask
from agentgym_hindsight.envs.tau.embedded import embedded_desk
from agentgym_hindsight.envs.tau.users import STOP, ScriptedUser, make_user
from agentgym_hindsight.envs.tau.users.facts import facts_of_instruction, first_person
from agentgym_hindsight.envs.tau.users.topics import TOPICS
from agentgym_hindsight.errors import BackendError, DamagedDataError, UnknownNameError
from agentgym_hindsight.vector import HindsightVectorEnv

TASK = DeskTask(
    "ada_lund_1",
    "You want to cancel order #W1.",
    (("cancel_pending_order", {"order_id": "#W1", "reason": "no longer needed"}),),
    (),
    "cancel_order",
    "I want to cancel an order.",
    {
        "name": "My name is Ada Lund.",
        "zip": "My zip code is 12345.",
        "order": "It is order #W1.",
        "reason": "Not needed.",
    },
)


@pytest.fixture
def user() -> ScriptedUser:
    made = ScriptedUser()
    assert made.start(TASK, "") == "I want to cancel an order."
    return made


@pytest.mark.parametrize(
    ("message", "reply"),
    [
        ("What is your name, and your zip code?", "My name is Ada Lund. My zip code is 12345."),
        ("Which order is it?", "It is order #W1."),
        ("Could you give me your email address?", "I do not remember that, or it does not matter to me."),
        ("Please confirm your zip code.", "My zip code is 12345."),
        ("I will cancel order #W1. Shall I proceed (yes/no)?", "Yes, please go ahead."),
        ("I will cancel order #W2. Do you want this (yes/no)?", "No, that is not what I asked for."),
        ("What can I do for you?", "It is order #W1."),
        ("Your order has been cancelled.", f"Thank you, that is all. {STOP}"),
        ("Done. Is there anything else?", f"Thank you, that is all. {STOP}"),
        ("xyzzy", "I do not understand. I want to cancel an order."),
    ],
)
def test_replies(user: ScriptedUser, message: str, reply: str) -> None:
    assert user.reply(message) == reply


def test_it_never_ends_with_its_own_confirmation_and_never_says_what_it_does_not_know() -> None:
    known = " ".join([TASK.opening, *TASK.facts.values(), STOP])
    words = ["confirm", "yes", "proceed", "done", "cancelled", "email", "card", "anything else", "please", "?", "order"]
    for first in words:
        for second in words:
            user = ScriptedUser()
            user.start(TASK, "")
            reply = user.reply(f"{first} {second}?")
            assert not ("Yes" in reply and STOP in reply)
            for sentence in reply.replace(STOP, "").split(". "):
                said = sentence.strip(" .")
                fixed = ("Yes, please go ahead", "No, that is not what I asked for", "Thank you, that is all")
                fixed += ("I do not remember that, or it does not matter to me", "I do not understand")
                assert not said or said in known or said in fixed


@pytest.mark.parametrize("domain", ["retail", "airline"])
def test_every_fact_of_the_embedded_tasks_is_told_when_it_is_asked_for(domain: str) -> None:
    for task in embedded_desk(domain, 0).tasks["valid"]:
        for topic, fact in task.facts.items():
            user = ScriptedUser()
            assert fact not in user.start(task, "")
            assert fact in user.reply(f"Please tell me about {TOPICS[topic][0]}."), (task.kind, topic)


def test_a_conversation_by_the_policy_can_be_won() -> None:
    """An agent that knows nothing but what it is told: it asks, looks, proposes, changes and reports."""
    env = gym.make("TauBench-Hindsight-v0", data="embedded", split="valid", kinds=["cancel_order"], rules="strict")
    for seed in range(5):
        env.reset(seed=seed)
        told = "".join(env.step(question)[0] for question in ("What is your name?", "And your zip code?"))
        name, zip_code = re.search(r"My name is (\w+) (\w+)", told), re.search(r"\d{5}", told)
        assert name is not None
        assert zip_code is not None
        find = f"[find_user_id_by_name_zip(first_name='{name[1]}', last_name='{name[2]}', zip='{zip_code[0]}')]"
        assert "Error" not in env.step(find)[0]
        told = "".join(env.step(question)[0] for question in ("Which order is it?", "What is the reason?"))
        order, reason = re.search(r"#W\d+", told), re.search(r"The reason is: (.*)\.", told)
        assert order is not None
        assert reason is not None
        assert "Yes" in env.step(f"I will cancel {order[0]}, because it is {reason[1]}. Do you agree (yes/no)?")[0]
        env.step(f"[cancel_pending_order(order_id='{order[0]}', reason='{reason[1]}')]")
        _, reward, terminated, _, info = env.step("Your order is cancelled.")
        assert (reward, terminated, info["won"]) == (1.0, True, True)


def test_a_local_model_is_a_user(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="needs the extra [train]")
    torch = pytest.importorskip("torch", reason="needs the extra [train]")
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from agentgym_hindsight.baselines.training.tiny import make_tokenizer

    tokenizer = make_tokenizer(["I want to cancel an order.", "Hello"] * 4, vocabulary=300)
    tokenizer.chat_template = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = Qwen3Config(vocab_size=len(tokenizer), num_key_value_heads=2, head_dim=8, **sizes)
    Qwen3ForCausalLM(config).save_pretrained(tmp_path / "tiny")
    tokenizer.save_pretrained(tmp_path / "tiny")
    user = make_user(f"model:{tmp_path / 'tiny'}")
    assert user.name == "model:tiny"
    first = user.start(TASK, "")
    assert first.strip()
    assert user.start(TASK, "") == first  # greedy
    with pytest.raises(DamagedDataError, match="a model for the user"):
        make_user(f"model:{tmp_path}").start(TASK, "")


def test_the_state_tells_conversations_apart(user: ScriptedUser) -> None:
    states = [user.state]
    for message in ("What is your name?", "Shall I proceed?", "Which order?"):
        user.reply(message)
        states.append(user.state)
    assert len(set(states)) == 4
    user.reply("Which order?")
    assert user.state == states[-1]  # nothing new was told


def test_a_user_that_tells_everything_at_once() -> None:
    user = make_user("scripted-all")
    assert user.name == "scripted-all"
    assert user.start(TASK, "") == " ".join([TASK.opening, *TASK.facts.values()])


def test_facts_of_an_instruction() -> None:
    text = (
        "You are Ada Lund in 12345. You are polite, brief. You want to return your lamp from order #W1 to the card "
        "ending in 1234. You are reactive to the agent. You also want a hat."
    )
    opening, facts, wishes = facts_of_instruction(DeskTask("ada_lund_1", text, ()))
    assert opening == "I want to return my lamp from order #W1 to the card ending in 1234."
    assert wishes == ("I also want a hat.",)
    assert facts["name"] == "My name is Ada Lund."
    assert facts["zip"] == "My zip code is 12345."
    assert facts["order"] == facts["payment"] == opening
    assert "email" not in facts
    assert facts_of_instruction(DeskTask("bo_li_22", "You want a hat.", ()))[1]["name"] == "My name is Bo Li."
    assert first_person("You'd like yours; you've paid yourself.") == "I would like mine; I have paid myself."


def test_further_wishes_of_an_instruction_come_one_by_one() -> None:
    user = ScriptedUser()
    task = DeskTask("ada_lund_1", "You want to return a lamp. You also want a hat. And you want to know its price.", ())
    assert user.start(task, "") == "I want to return a lamp."
    assert user.reply("The lamp is returned. Anything else?") == "I also want a hat."
    assert user.reply("Done.") == "And I want to know its price."
    assert STOP in user.reply("It costs 3, and all is done.")


def test_a_function_plays_the_benchmarks_role() -> None:
    seen: list[list[dict[str, str]]] = []

    def speak(messages: list[dict[str, str]]) -> str:
        seen.append(messages)
        return "Hello, my order please." if len(messages) == 2 else f"Bye. {STOP}"

    env = gym.make("TauBench-Hindsight-v0", backend="embedded", user=speak, split="valid")
    observation, info = env.reset(seed=0)
    assert observation.endswith("User: Hello, my order please.")
    assert info["extra"].user == "function:speak"
    observation, _, terminated, _, _ = env.step("What is it about?")
    assert terminated
    assert observation == f"User: Bye. {STOP}"
    assert [message["role"] for message in seen[-1]] == ["system", "user", "assistant", "user"]
    assert seen[0][1]["content"] == "Hi! How can I help you today?"
    world: Any = env.unwrapped
    assert world.backend.session.task.instruction in seen[0][0]["content"]
    assert world.backend.name.endswith("user=function:speak")


class Server(BaseHTTPRequestHandler):
    bodies: list[dict[str, Any]] = []  # noqa: RUF012  # shared by the test
    status = 200

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.bodies.append(body)
        reply = json.dumps({"choices": [{"message": {"content": f"Message {len(body['messages'])}"}}]}).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Server.bodies, Server.status = [], 200
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}/v1"
    httpd.shutdown()
    httpd.server_close()


def test_an_endpoint_is_a_user(server: str) -> None:
    env = gym.make("TauBench-Hindsight-v0", backend="embedded", user=f"endpoint:{server}#m", split="valid")
    observation, info = env.reset(seed=0)
    assert observation.endswith("User: Message 2")
    assert env.step("Hello.")[0] == "User: Message 4"
    assert info["extra"].user == "endpoint:m"
    assert [body["model"] for body in Server.bodies] == ["m", "m"]
    assert Server.bodies[0]["seed"] != Server.bodies[1]["seed"]
    env.close()


def test_a_user_that_fails_breaks_the_rollout(server: str) -> None:
    Server.status = 400
    with pytest.raises(BackendError, match="Expected an answer of the user 'm'"):
        make_user(f"endpoint:{server}#m").start(TASK, "")


def speak_once(messages: list[dict[str, str]]) -> str:
    if len(messages) > 2:
        raise RuntimeError("the user has gone")
    return "Hello."


def test_a_failing_user_is_a_broken_rollout_and_not_a_lost_one() -> None:
    settings: dict[str, Any] = {"backend": "embedded", "split": "valid", "max_steps": 5}
    envs = HindsightVectorEnv("TauBench-Hindsight-v0", 2, user=speak_once, **settings)
    tasks = gym.make("TauBench-Hindsight-v0", **settings).unwrapped.panel(n=2)  # type: ignore[attr-defined]
    policy = RandomPolicy(0)
    policy.act = lambda turns: ["Hello?" for _ in turns]  # type: ignore[method-assign]
    played = list(rollout(envs, policy, assignments(tasks, 1), seed=0))
    envs.close()
    assert len(played) == 2
    assert all("the user has gone" in trajectory.broken for trajectory in played)
    assert not any(trajectory.won for trajectory in played)


@pytest.mark.parametrize("reply", ["", "  \n", None, 3])
def test_an_empty_message_of_a_model_is_an_error(reply: Any) -> None:
    with pytest.raises(BackendError, match="Expected a message"):
        make_user(lambda messages: reply).start(TASK, "")


def test_passwords_in_a_users_address_are_not_shown() -> None:
    with pytest.raises(UnknownNameError) as raised:
        make_user("endpiont:http://me:secret@host/v1#m")
    assert "secret" not in str(raised.value)


def test_a_person_reads_and_writes_in_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = iter(["", "I want to cancel."])
    monkeypatch.setattr("builtins.input", lambda *_: next(lines))
    person = make_user("person")
    assert person.start(TASK, "") == "I want to cancel."
    assert TASK.instruction in capsys.readouterr().err
    monkeypatch.setattr("builtins.input", lambda *_: (_ for _ in ()).throw(EOFError()))
    with pytest.raises(BackendError, match="end of the input"):
        person.reply("\x1b[31mHello")
    assert "\x1b" not in capsys.readouterr().err
