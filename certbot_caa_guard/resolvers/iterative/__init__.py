"""Our own walk from the DNS root, for machines without libunbound.

It asks what the CA's resolver asks: the full name with type CAA at every step (no minimisation,
RFC 9156), EDNS (RFC 6891) with 1232 octets, in mixed case, and it takes for an answer what
Unbound with the CA's settings takes for one.  It does not validate (DNSSEC).

======================  ====================================================================
module                  knows
======================  ====================================================================
``message``             questions and answers on the wire
``addresses``           which addresses are asked
``root``                where the walk starts
``finding``             what an answer means to one who asked the servers of a zone
``memory``              what lookups share: delegations, addresses, how servers behaved
``visit``               the servers of one zone, and in which order they are asked
``walk``                one lookup: which question comes next
``exchange``            sockets
``resolver``            the driver: does what ``walk`` says
======================  ====================================================================

Only the last two do any I/O or wait for anything.  How many questions servers get at a time is
for :mod:`certbot_caa_guard.resolvers.manners` to say.
"""

from __future__ import annotations

from certbot_caa_guard.resolvers.iterative.resolver import IterativeResolver, iterative

__all__ = ["IterativeResolver", "iterative"]
