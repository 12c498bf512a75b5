"""HTTP requests with a limit on the whole time and on the size of a reply, for servers that are not trusted.

HTTP libraries limit the time between two bytes, so a server that sends a byte now and then holds a request for ever.
They also unpack compressed replies without a limit: one megabyte can become gigabytes. Here the time limit covers
everything from connecting to the last byte, and the size limit holds after unpacking. Redirects are not followed. Only
the system's look-up of a host name is outside the time limit.
"""

from agentgym_hindsight.http_client.client import HttpClient, HttpReply
from agentgym_hindsight.http_client.errors import HttpConnectError, HttpError, HttpTimeoutError

__all__ = ["HttpClient", "HttpConnectError", "HttpError", "HttpReply", "HttpTimeoutError"]
