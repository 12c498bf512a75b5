"""Which names a request may use for the site, and which requests come from one client.

A page of another site can make a browser resolve the attacker's name to the address of this machine ("DNS rebinding").
The page then reads the answers as those of its own site. The Host header still has the attacker's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address

__all__ = ["client_of", "host_names", "is_loopback", "name_of"]

_HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::[0-9]{1,5})?", re.IGNORECASE)
#: Names of the machine itself.
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def name_of(header: str) -> str | None:
    """The name in a Host header, without the port and in lower case; None if the header is malformed.

    >>> name_of("LocalHost:3000"), name_of("[::1]:3000"), name_of("a@b")
    ('localhost', '[::1]', None)
    """
    match = _HOST.fullmatch(header)
    return match[1].lower() if match else None


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches a numeric address."""
    return ip_address(address.partition("%")[0]).is_loopback


def host_names(address: str, more: Iterable[str] = ()) -> frozenset[str] | None:
    """The names that requests to a server on a numeric address may use; None if any may be used.

    On a loopback address these are the names of the machine itself and ``more``. Another address is open to everybody
    who can reach it, and has names that the server does not know: only ``more`` restricts them.

    >>> sorted(host_names("127.0.0.1")), host_names("0.0.0.0")
    (['127.0.0.1', '[::1]', 'localhost'], None)
    """
    named = frozenset(name.lower() for name in more)
    own = f"[{address}]" if ":" in address else address
    if is_loopback(address):
        return named | {*LOOPBACK, own}
    return named | {own} if named else None


def client_of(address: str) -> str:
    """What counts as one client: an address, or the network that a provider gives to one IPv6 customer.

    >>> client_of("192.0.2.7"), client_of("::ffff:192.0.2.7"), client_of("2001:db8::1") == client_of("2001:db8::2")
    ('192.0.2.7', '192.0.2.7', True)
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:  # a WSGI server on a socket file has no address
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    return str(parsed.ipv4_mapped or parsed.packed[:8].hex())
