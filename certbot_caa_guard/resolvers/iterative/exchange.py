"""One question to one server, over UDP or TCP."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import random
import socket
from collections.abc import Iterable

import dns.rcode

from certbot_caa_guard.resolvers import wire
from certbot_caa_guard.resolvers.iterative.message import (
    MessageError,
    Question,
    Reply,
    decode,
    encode,
    mixed_case,
)
from certbot_caa_guard.resolvers.iterative.visit import Trouble
from certbot_caa_guard.resolvers.iterative.walk import Ask, Failure
from certbot_caa_guard.resolvers.manners import Reaction

_PORT = 53
_LARGEST = 65_535

# The far end, or somebody on the way, says that nobody is there: that is silence, said quickly.
# Any other error is this machine's.
_NOBODY_THERE = {
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.EHOSTUNREACH,
    errno.EPIPE,
    errno.ETIMEDOUT,
}


async def exchange(ask: Ask, dice: random.Random) -> Reply | Failure:
    """Put the question to the server; it has *ask.patience* seconds.

    A socket of its own for each question, so that its port is as random as the system makes it
    (RFC 5452 section 9.2); it is connected, so that only the server that was asked is heard.
    """
    name = mixed_case(ask.question.name, dice) if ask.mixed else ask.question.name
    query = encode(Question(name, ask.question.type), dice.getrandbits(16), edns=ask.edns)
    try:
        message = await asyncio.wait_for(put(ask.address, query, tcp=ask.tcp), ask.patience)
        return decode(query, message)
    except (TimeoutError, asyncio.TimeoutError):
        return Failure(Trouble.SILENT)
    except MessageError:
        return Failure(Trouble.ERROR)
    except OSError as error:
        return Failure(Trouble.SILENT if is_silence(error) else Trouble.LOCAL, for_good=True)


async def put(address: str, query: bytes, *, tcp: bool) -> bytes:
    """Put *query* to the server at *address* and return its answer, however long it takes.

    :raises MessageError: when what came over TCP is no answer to it.
    :raises OSError: when it cannot be put.
    """
    return await (_over_tcp if tcp else _over_udp)(address, query)


def is_silence(error: OSError) -> bool:
    """Whether *error* says that nobody is there; any other is this machine's own trouble."""
    return error.errno in _NOBODY_THERE


def reaction(result: Reply | Failure) -> Reaction:
    """What the server did, seen as one who may be asking too much.

    An overloaded server may say SERVFAIL, one that limits rates REFUSED or nothing.
    """
    if isinstance(result, Reply):
        refused = result.rcode in {dns.rcode.REFUSED, dns.rcode.SERVFAIL}
        return Reaction.REFUSED if refused else Reaction.ANSWERED
    if result.trouble is Trouble.SILENT:
        return Reaction.SILENT
    return Reaction.NOT_ASKED if result.trouble is Trouble.LOCAL else Reaction.ANSWERED


def families(addresses: Iterable[str]) -> frozenset[int]:
    """The IP versions for which there is a route to any of *addresses*; nothing is sent."""
    found: set[int] = set()
    for address in addresses:
        version = ipaddress.ip_address(address).version
        if version not in found and _has_route(address):
            found.add(version)
    return frozenset(found)


def _has_route(address: str) -> bool:
    try:
        with _socket(address, socket.SOCK_DGRAM) as udp:
            udp.connect((address, _PORT))
    except OSError:
        return False
    return True


def _socket(address: str, kind: socket.SocketKind) -> socket.socket:
    version = ipaddress.ip_address(address).version
    sock = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, kind)
    sock.setblocking(False)
    return sock


async def _over_udp(address: str, query: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    with _socket(address, socket.SOCK_DGRAM) as udp:
        udp.connect((address, _PORT))
        udp.send(query)
        # What is no answer to this question may be somebody's guess: the real one may follow.
        while not wire.answers(query, message := await loop.sock_recv(udp, _LARGEST)):
            pass
        return message


async def _over_tcp(address: str, query: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    with _socket(address, socket.SOCK_STREAM) as tcp:
        await loop.sock_connect(tcp, (address, _PORT))
        await loop.sock_sendall(tcp, len(query).to_bytes(2, "big") + query)
        length = int.from_bytes(await _receive(tcp, 2), "big")
        message = await _receive(tcp, length)
    if not wire.answers(query, message):
        raise MessageError("an answer to another question")
    return message


async def _receive(tcp: socket.socket, length: int) -> bytes:
    loop = asyncio.get_running_loop()
    received = b""
    while len(received) < length:
        more = await loop.sock_recv(tcp, length - len(received))
        if not more:
            raise MessageError("the connection ended within the message")
        received += more
    return received
