"""The address of a server, and the proxy on the way to it."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import SplitResult, quote, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.redaction import HIDDEN, Secret

__all__ = ["Address", "environment_proxy"]


class Address(NamedTuple):
    """The parts of a server's URL. ``shown`` is the URL without user information; ``user`` is ``name:password``."""

    shown: str
    scheme: bytes
    host: str
    network_host: bytes
    port: int | None
    path: str
    query: str
    user: Secret

    @classmethod
    def of(cls, url: str) -> Address:
        """Split a URL. Raises :class:`~agentgym_hindsight.errors.UsageError` if it is not the address of a server."""
        try:
            if any(character.isspace() or not character.isprintable() for character in url):
                raise ValueError("white space or a control character")
            parts = urlsplit(url)
            port, host = parts.port, parts.hostname
            if parts.scheme not in ("http", "https") or not host:
                raise ValueError("no host")
            network_host = host.encode("ascii" if host.isascii() else "idna")
        except ValueError:  # also: a port that is no number, a bracket that is not closed
            raise UsageError(
                f"Expected the server's address, got {_shown(url)!r}; try 'http://localhost:8000/v1'."
            ) from None
        if parts.username == HIDDEN:
            raise UsageError(
                f"Expected an address with its password, got the placeholder in {url!r}; try the real password."
            )
        shown = parts._replace(netloc=_without_user(parts)).geturl().rstrip("/")
        user, path = Secret(_user_information(parts)), parts.path.rstrip("/")
        return cls(shown, parts.scheme.encode("ascii"), host, network_host, port, path, parts.query, user)

    @property
    def host_header(self) -> bytes:
        """The value of the ``Host`` header."""
        name = b"[%b]" % self.network_host if b":" in self.network_host else self.network_host
        return name if self.port is None else b"%b:%d" % (name, self.port)

    def resource(self, path: str) -> httpcore.URL:
        """The URL of a path below the address."""
        target = quote(f"{self.path}{path}", safe="/%:@!$&'()*+,;=~-._") or "/"
        if self.query:
            target += "?" + quote(self.query, safe="/%:@!$&'()*+,;=~-._?")
        return httpcore.URL(scheme=self.scheme, host=self.network_host, port=self.port, target=target)


def environment_proxy(address: Address) -> httpcore.Proxy | None:
    """The proxy that the environment names for a server: ``HTTPS_PROXY``, ``ALL_PROXY``, ``NO_PROXY`` …"""
    found = getproxies()
    url = found.get(address.scheme.decode("ascii")) or found.get("all")
    if not url or proxy_bypass(address.host_header.decode("ascii")):
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    name, _, password = (user := _user_information(parts)).partition(":")
    return httpcore.Proxy(parts._replace(netloc=_without_user(parts)).geturl(), auth=(name, password) if user else None)


def _shown(url: str) -> str:
    """A URL that is not valid, without what may be a password."""
    before, user, host = url.rpartition("@")
    return f"{before[: before.find('://') + 3] if '://' in before else ''}{HIDDEN}@{host}" if user else url


def _user_information(parts: SplitResult) -> str:
    if parts.username is None and parts.password is None:
        return ""
    return f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"


def _without_user(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]
