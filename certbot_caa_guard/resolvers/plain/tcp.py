"""One question over a TCP connection of its own (RFC 7766)."""

from __future__ import annotations

import asyncio
import contextlib

from certbot_caa_guard.resolvers import wire


class NoAnswerError(OSError):
    """The connection ended before an answer, or brought something else."""


async def exchange(server: tuple[str, int], query: bytes) -> bytes:
    """Send *query* and return what answers it.

    :raises OSError: when there is no connection, or no answer on it.
    """
    reader, writer = await asyncio.open_connection(*server)
    try:
        writer.write(len(query).to_bytes(2, "big") + query)
        length = int.from_bytes(await reader.readexactly(2), "big")
        message = await reader.readexactly(length)
    except asyncio.IncompleteReadError as error:
        raise NoAnswerError("the connection was closed") from error
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    if not wire.answers(query, message):
        raise NoAnswerError("this is an answer to something else")
    return message
