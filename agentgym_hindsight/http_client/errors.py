"""Why there is no reply."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import httpcore

__all__ = ["HttpConnectError", "HttpError", "HttpTimeoutError", "mapped_errors"]


class HttpError(Exception):
    """There is no reply. The message has the kind of the error."""


class HttpConnectError(HttpError):
    """Nothing answers at the address: the connection was refused, or the host is unknown."""


class HttpTimeoutError(HttpError):
    """There was no whole reply in time."""


@contextmanager
def mapped_errors(seconds: float) -> Iterator[None]:
    """Raise the errors of the connection as :class:`HttpError`."""
    try:
        yield
    except httpcore.TimeoutException as error:
        raise HttpTimeoutError(f"{type(error).__name__} (no whole reply within {seconds:g} s)") from error
    except httpcore.ConnectError as error:
        # httpcore reports every failure to connect in this way, also of TLS or for want of local ports.
        is_gone = any(isinstance(each, (ConnectionRefusedError, socket.gaierror)) for each in error.args)
        raise (HttpConnectError if is_gone else HttpError)(f"{type(error).__name__} ({error})") from error
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError, httpcore.UnsupportedProtocol) as error:
        raise HttpError(f"{type(error).__name__} ({error})") from error
    except OSError as error:
        raise HttpError(f"{type(error).__name__} ({error})") from error
