"""Keys and passwords in text are hidden, in every form in which a server may send them back."""

from __future__ import annotations

import json
import random
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import pytest

from agentgym_hindsight.redaction import Secret, hide, hide_passwords, hide_secret_values

KEY = "sk-Proj_aB+/3d%9zQ"


@pytest.mark.parametrize(
    "echo",
    [
        KEY,
        KEY.upper(),
        KEY.lower(),
        quote(KEY, safe=""),
        quote(KEY, safe="").lower(),
        json.dumps(KEY),
        json.dumps(KEY).replace("/", r"\/"),
        repr(KEY),
        repr(f"Bearer {KEY}".encode()),
        KEY * 3,
    ],
)
def test_a_key_is_hidden_in_any_form(echo: str) -> None:
    hidden = hide(f"Incorrect key: {echo}!", KEY)
    assert "***" in hidden
    assert KEY.lower() not in hidden.lower()
    assert hidden.startswith("Incorrect key: ")
    assert hidden.endswith("!")


def test_base64_of_a_key_is_hidden_at_any_position() -> None:
    """No four bytes of the key can be read from what is left."""
    draw = random.Random(0)
    for encode in (b64encode, urlsafe_b64encode):
        for _ in range(300):
            before, after = (bytes(draw.randrange(256) for _ in range(draw.randrange(7))) for _ in range(2))
            hidden = hide(encode(before + KEY.encode() + after).decode(), KEY).replace("-", "+").replace("_", "/")
            assert "***" in hidden
            for start in range(len(KEY) - 3):
                for shift in range(3):
                    part = b64encode(b"\0" * shift + KEY[start : start + 4].encode()).decode()
                    assert part[-(-8 * shift // 6) : 8 * (shift + 4) // 6] not in hidden


def test_several_secrets_and_none() -> None:
    assert hide("a key-1 b pass-2", "key-1", "", "pass-2") == "a *** b ***"
    assert hide("text", "", "") == "text"
    assert hide("a\\nb", "a\nb") == "***", "as Python quotes it"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:s3cret@host/v1", "https://***@host/v1"),
        ("https://token@host:8000/v1#org/model@rev", "https://***@host:8000/v1#org/model@rev"),
        ("endpoint:http://me:p@ss@host/v1#m", "endpoint:http://***@host/v1#m"),
        ("http://me:p/ss@host/v1", "http://***@host/v1"),
        ("http://me:p?s#s@host/v1", "http://***@host/v1"),
        ("http://me:@host", "http://***@host"),
        ("--set 'judge.base_url=http://me:pw@host/v1' x@y", "--set 'judge.base_url=http://***@host/v1' x@y"),
        ("http://one:9,http://me:pw@two:9", "http://one:9,http://***@two:9"),
        ("http://host/v1?api_key=abc&a=1&Token=x", "http://host/v1?api_key=***&a=1&Token=***"),
    ],
)
def test_passwords_in_urls_are_hidden(text: str, shown: str) -> None:
    assert hide_passwords(text) == shown
    assert hide_passwords(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "http://localhost:8000/v1#org/model@main",
        "https://[::1]:80/v1@2",
        "git+https://github.com/a/b@v1",
        "mail me@host, a://b c@d",
        "http://host/v1?top_k=3",
        "no url: me:pw@host",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert hide_passwords(text) == text


def test_plain_data() -> None:
    data = {
        "judge": {
            "base_url": "http://me:pw@h/v1",
            "extra_body": {"api-key": "abc", "max_tokens": 3, "Authorization": "B"},
        },
        "urls": ["http://me:pw@h", 1, None, ("http://me:pw@h",)],
        "token": "",
    }
    assert hide_secret_values(data) == {
        "judge": {
            "base_url": "http://***@h/v1",
            "extra_body": {"api-key": "***", "max_tokens": 3, "Authorization": "***"},
        },
        "urls": ["http://***@h", 1, None, ("http://***@h",)],
        "token": "",
    }


def test_a_secret_is_not_shown() -> None:
    secret = Secret("abc")
    assert "abc" not in f"{secret} {secret!r} {[secret]}"
    assert secret.reveal() == "abc"
    assert repr(Secret("")) == "Secret()"
