"""Secrets in text: keys that a server echoes, and passwords in URLs. Used before text is shown, logged or stored."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

__all__ = ["HIDDEN", "Secret", "hide", "hide_passwords", "hide_secret_values"]

#: What a secret is replaced by.
HIDDEN = "***"

_SHORTEST_ENCODED = 6  # bytes; the base64 of a shorter secret is too likely to occur by chance
_QUERY = re.compile(
    r"([?&](?:api[-_]?key|key|(?:access[-_]?)?token|password|secret|sig|signature)=)[^&#\s\"'<>]+", re.IGNORECASE
)
#: Names of settings whose values are secrets, without ``-`` and ``_``.
_SECRET_NAMES = frozenset(
    ("apikey", "authorization", "accesstoken", "authtoken", "bearer", "bearertoken", "password", "secret", "token")
)
_END_OF_URL = re.compile(r"[\s\"'<>`]")
_END_OF_HOST = re.compile(r"[/?#]")


class Secret:
    """Holds a text that must not be shown: it is not part of ``repr``, ``str`` or ``vars`` of its owner.

    >>> Secret("sk-123"), Secret("sk-123").reveal()
    (Secret(***), 'sk-123')
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})" if self._value else "Secret()"


def hide(text: str, *secrets: str) -> str:
    """The text without the secrets: as they are, in another case, percent-encoded, escaped or in base64.

    Call it before the text is cut: the first half of a key is no longer recognised.

    >>> hide("Incorrect API key: SK-123-ABC", "sk-123-abc"), hide("Basic dTpzay0xMjM=", "sk-123")
    ('Incorrect API key: ***', 'Basic ***')
    """
    for secret in filter(None, secrets):
        text = _pattern(secret).sub(HIDDEN, text)
    return text


def hide_passwords(text: str) -> str:
    """The text with user names, passwords and keys in URLs replaced.

    >>> hide_passwords("endpoint:https://me:s3cret@host/v1#model"), hide_passwords("http://host:8000/v1?api_key=abc")
    ('endpoint:https://***@host/v1#model', 'http://host:8000/v1?api_key=***')
    """
    if "://" not in text:
        return text
    head, *addresses = text.split("://")
    return _QUERY.sub(rf"\1{HIDDEN}", "://".join([head, *map(_without_user, addresses)]))


def hide_secret_values(value: Any) -> Any:
    """Plain data with :func:`hide_passwords` in every text, and without the values of settings such as ``api_key``.

    >>> hide_secret_values({"base_url": "https://me:pw@host", "extra_body": {"api_key": "abc", "top_p": 0.9}})
    {'base_url': 'https://***@host', 'extra_body': {'api_key': '***', 'top_p': 0.9}}
    """
    if isinstance(value, str):
        return hide_passwords(value)
    if isinstance(value, Mapping):
        return {
            key: HIDDEN if _is_secret(key) and each and isinstance(each, str) else hide_secret_values(each)
            for key, each in value.items()
        }
    if isinstance(value, (list, tuple)):
        plain = map(hide_secret_values, value)
        return list(plain) if isinstance(value, list) else tuple(plain)
    return value


def _is_secret(name: object) -> bool:
    return isinstance(name, str) and name.replace("_", "").replace("-", "").lower() in _SECRET_NAMES


def _without_user(address: str) -> str:
    """What follows a ``://``, without the user information that it begins with."""
    end = _END_OF_URL.search(address)
    url = address[: end.start()] if end else address
    host_end = _END_OF_HOST.search(url)
    host = url[: host_end.start()] if host_end else url
    if "@" not in host:
        # "user:p/ss@host": a password may have a "/" that should be escaped. After a real host only digits may follow.
        port = host.rpartition(":")[2]
        if ":" not in host or port.isdecimal() or port.endswith("]") or not port or "@" not in url:
            return address
        host = url
    return f"{HIDDEN}{address[host.rindex('@') :]}"


def _pattern(secret: str) -> re.Pattern[str]:
    data = secret.encode("utf-8", "surrogatepass")
    literal = {
        secret,
        quote(data, safe=""),
        quote(data, safe="/"),
        json.dumps(secret)[1:-1],
        json.dumps(secret)[1:-1].replace("/", r"\/"),
        repr(secret)[1:-1],
    }
    patterns = [re.escape(form) for form in sorted(literal, key=lambda form: (-len(form), form))]
    if len(data) >= _SHORTEST_ENCODED:
        # The characters around it hold some of its bits too.
        patterns += [rf"[\w+/-]{{0,3}}{re.escape(form)}[\w+/-]{{0,3}}={{0,2}}" for form in sorted(_base64_forms(data))]
    return re.compile("|".join(patterns), re.IGNORECASE)


def _base64_forms(data: bytes) -> set[str]:
    """The characters of base64 that depend on ``data`` alone, for the three positions at which it can begin."""
    forms = set()
    for before in range(3):
        # Of the bytes before and after it only the whole groups of six bits are known.
        first, last = -(-8 * before // 6), 8 * (before + len(data)) // 6
        form = b64encode(b"\0" * before + data).decode("ascii")[first:last]
        forms |= {form, form.translate(str.maketrans("+/", "-_"))}
    return forms
