"""Keys and passwords of chat servers: never in errors, logs and answers, and the key is not replaced by a password."""

from __future__ import annotations

import json
import logging
from base64 import b64encode
from typing import Any

import pytest

from agentgym_hindsight.baselines.policies import TurnView
from agentgym_hindsight.baselines.policies.endpoint import EndpointPolicy
from agentgym_hindsight.errors import BackendError, UsageError
from agentgym_hindsight.hindsight.judge import JudgeClient
from agentgym_hindsight.wrappers import JudgeFeedback
from tests.hindsight.rollouts import LOSER
from tests.hindsight.test_judge import Answer, Stub, completion, serving

KEY = "sk-Very/Secret+Key0"
PASSWORD = "pass-Word1"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("SECRET_KEY", KEY)


def with_password(stub: Stub) -> str:
    return stub.url.replace("://", f"://me:{PASSWORD}@")


def judge(url: str, **more: Any) -> JudgeClient:
    return JudgeClient(url, "critic", **{"api_key_env": "SECRET_KEY", "backoff": 0.01, "retries": 0, **more})


def policy(url: str, **more: Any) -> EndpointPolicy:
    return EndpointPolicy(url, "player", **{"api_key_env": "SECRET_KEY", "backoff_s": 0.01, "retries": 0, **more})


TURNS = [TurnView("1f", 0, 0, "a room", {})]


@pytest.mark.parametrize("shift", range(150, 201, 5))
def test_an_echoed_key_is_hidden_before_the_text_is_cut(shift: int) -> None:
    """The text of a refusal is cut after 200 characters; half of a key must not be left."""
    body = "x" * shift + KEY + "y" * 300
    with serving([(400, {}, body.encode())]) as stub:
        error = judge(stub.url).judge_trajectory(LOSER).error
    assert "status 400" in error
    assert not any(KEY[:length] in error for length in (4, 8, 12))
    assert "y" * 300 not in error


@pytest.mark.parametrize(
    "echo", [KEY.upper(), KEY.lower(), b64encode(KEY.encode()).decode(), b64encode(f"Bearer {KEY}".encode()).decode()]
)
@pytest.mark.parametrize(
    "make", [lambda echo: (401, {}, echo.encode()), lambda echo: (400, {}, json.dumps([echo]).encode())]
)
def test_an_echoed_key_is_hidden_in_other_forms(echo: str, make: Any) -> None:
    with serving([make(echo)]) as stub:
        error = judge(stub.url).judge_trajectory(LOSER).error
    assert "***" in error
    assert echo[2:-4] not in error


def test_a_key_in_an_invalid_answer_is_not_quoted() -> None:
    """Python quotes the first 200 characters of a text that is no number."""
    usage = {"prompt_tokens": "1" * 190 + KEY}
    reply: Answer = (200, {}, json.dumps({"choices": [{"message": {"content": "a"}}], "usage": usage}).encode())
    with serving([reply]) as stub:
        error = judge(stub.url).judge_trajectory(LOSER).error
    assert "no chat completion" in error
    assert KEY[:8] not in error


def test_a_key_in_an_answer_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda body: completion(f"Your key is {KEY}.")) as stub:
        assert judge(stub.url).judge_trajectory(LOSER).text == "Your key is ***."
    # Local servers are often given such a key. It is a word, and a word of an answer must stay.
    monkeypatch.setenv("SECRET_KEY", "EMPTY")
    with serving(lambda body: completion("The shelf is empty.")) as stub:
        assert judge(stub.url).judge_trajectory(LOSER).text == "The shelf is empty."


@pytest.mark.parametrize("key", ["sk-with\nline", "sk-\x00", "sk-é"])
def test_a_key_that_cannot_be_sent_is_not_shown(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "\x00" not in key:
        monkeypatch.setenv("SECRET_KEY", key)
    else:
        monkeypatch.setenv("SECRET_KEY", "sk-\x01")
    with serving(lambda body: completion("look")) as stub:
        error = judge(stub.url).judge_trajectory(LOSER).error
    assert "a key in $SECRET_KEY with characters that are not printable ASCII" in error
    assert "sk-" not in error
    assert not stub.bodies


def test_the_key_is_sent_and_not_the_password_of_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda body: completion("look")) as stub:
        judge(with_password(stub)).judge_trajectory(LOSER)
        with policy(with_password(stub)) as player:
            player.act(TURNS)
        monkeypatch.delenv("SECRET_KEY")
        with policy(with_password(stub)) as player:
            player.act(TURNS)
    assert [headers["Authorization"] for headers in stub.headers] == [
        f"Bearer {KEY}",
        f"Bearer {KEY}",
        f"Basic {b64encode(f'me:{PASSWORD}'.encode()).decode()}",
    ]


@pytest.mark.parametrize(
    "reply",
    [
        (401, {}, f"wrong password {PASSWORD}".encode()),
        (400, {}, b64encode(f"me:{PASSWORD}".encode())),
        (200, {}, b"nonsense"),
        (302, {"Location": f"http://me:{PASSWORD}@host/"}, b"moved"),
    ],
)
def test_a_password_in_a_url_is_in_no_error_and_no_log(reply: Answer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)  # at DEBUG httpcore logs the headers of replies
    with serving(lambda body: reply) as stub:
        url = with_password(stub)
        shown = [
            judge(url).judge_trajectory(LOSER).error,
            repr(judge(url)),
            repr(vars(judge(url))),
            judge(url).base_url,
        ]
        with policy(url) as player:
            with pytest.raises(BackendError) as caught:
                player.act(TURNS)
            shown += [repr(caught.value), repr(player), repr(vars(player)), repr(vars(player.server)), player.name]
    shown += [caplog.text, *(repr(record.args) for record in caplog.records)]
    for text in shown:
        assert PASSWORD not in text
        assert b64encode(f"me:{PASSWORD}".encode()).decode()[:12] not in text
        assert KEY not in text


def test_a_wrong_address_is_refused_without_its_password() -> None:
    for url in (f"me:{PASSWORD}@host", f"ftp://me:{PASSWORD}@host", f"http://me:{PASSWORD}@host:port/v1"):
        for make in (judge, policy):
            with pytest.raises(UsageError, match="Expected the server's address") as caught:
                make(url)
            assert PASSWORD not in str(caught.value)


def test_a_judge_of_an_env_logs_no_password(caplog: pytest.LogCaptureFixture) -> None:
    import gymnasium as gym

    with serving(lambda body: (400, {}, f"{PASSWORD} {KEY}".encode())) as stub:
        arguments = {"base_url": with_password(stub), "model": "critic", "api_key_env": "SECRET_KEY", "retries": 0}
        env = JudgeFeedback(gym.make("ALFWorld-Hindsight-v0", data="embedded", max_steps=1), arguments)
        env.reset(seed=0)
        env.step("look")
        env.close()
    assert "status 400" in caplog.text
    assert PASSWORD not in f"{caplog.text} {env} {env!r}"
    assert KEY not in caplog.text
