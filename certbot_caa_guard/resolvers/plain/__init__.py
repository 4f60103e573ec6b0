"""Asking a plain recursive resolver, over UDP and TCP, fast and without losing a question.

- ``question``: what a question looks like on the wire, and what answers it;
- ``window``: how many may be in flight, and how many a second: pure decisions;
- ``ports``: the sockets that they leave from;
- ``engine``: sends, sends again, gives up, and asks over TCP what is too long for a datagram.
"""
