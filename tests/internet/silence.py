"""An address at which questions disappear."""

from __future__ import annotations

import socket


class Silence:
    """Takes datagrams and connections on port 53 and never reads them.

    An address without any socket is different: the kernel says at once that the port is closed.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Silence:
        try:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                sock = socket.socket(socket.AF_INET, kind)
                self._sockets.append(sock)
                if kind is socket.SOCK_STREAM:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind((self.address, 53))
            sock.listen(128)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        while self._sockets:
            self._sockets.pop().close()
