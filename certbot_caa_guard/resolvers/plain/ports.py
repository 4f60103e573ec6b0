"""The sockets that questions leave from: connected, on random ports, never for long."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from certbot_caa_guard.resolvers.plain.engine import Question

# Whoever forges answers must guess the port too, so a port serves a few questions only.
_SERVES = 256
_BUFFER = 1 << 20


class Port:
    """One UDP socket, connected to one server: the kernel drops what others send to it.

    :ivar place: the server's in the list of servers.
    :ivar waiting: the questions that left from here, by their ID.
    :ivar left: how many more may leave from here.
    :ivar send: sends a datagram, and :ivar:`receive` takes one that has come; neither waits.
    """

    __slots__ = ("_socket", "closed", "fileno", "left", "place", "receive", "send", "waiting")

    def __init__(self, place: int, server: tuple[str, int]) -> None:
        """:raises OSError: when the server cannot be reached at all."""
        family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        self.place = place
        self.waiting: dict[bytes, Question] = {}
        self.left = _SERVES
        self.closed = False
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            # Connecting binds it to a port that the kernel chooses at random.
            self._socket.connect(server)
            self.send: Callable[[bytes], int] = self._socket.send
            self.receive: Callable[[int], bytes] = self._socket.recv
            self.fileno: Callable[[], int] = self._socket.fileno
        except BaseException:
            self._socket.close()
            raise

    def close(self) -> None:
        """Give the socket back; whatever waits here waits in vain."""
        self.closed = True
        self._socket.close()


class Ports:
    """A few ports for each server, one of which is taken by chance."""

    _ABREAST = 8

    def __init__(self, opened: Callable[[Port], None], closing: Callable[[Port], None]) -> None:
        """:param opened: told of each new port.
        :param closing: told of each port before it is closed.
        """
        self._opened = opened
        self._closing = closing
        self._open: dict[tuple[int, int], Port] = {}
        self._retired: set[Port] = set()

    def take(self, place: int, server: tuple[str, int], chance: int, count: int) -> Port:
        """A port for *count* questions.

        :param place: the server's place in the list of servers.
        :param chance: any number, such as a random octet.
        :raises OSError: when there is no way to the server, or no socket left.
        """
        slot = (place, chance % self._ABREAST)
        port = self._open.get(slot)
        if port is None:
            port = self._open[slot] = Port(place, server)
            self._opened(port)
        port.left -= count
        if port.left <= 0:
            del self._open[slot]
            self._retired.add(port)
        return port

    def emptied(self, port: Port) -> None:
        """Nobody waits at *port* any more: if it is to serve no further, close it."""
        if port in self._retired:
            self._retired.discard(port)
            self._close(port)

    def all(self) -> list[Port]:
        """Those that are open."""
        return [*self._open.values(), *self._retired]

    def close(self) -> None:
        """Close all."""
        for port in self.all():
            self._close(port)
        self._open.clear()
        self._retired.clear()

    def _close(self, port: Port) -> None:
        self._closing(port)
        port.close()
