"""Questions put straight to a zone's authoritative servers, to find out why lookups fail.

======================  ====================================================================
module                  knows
======================  ====================================================================
``questions``           what is asked of each server, and in which manner
``matrix``              what was seen: servers and their answers, as plain data
``catalogue``           the kinds of faults: what the CA makes of them, sources, mends
``faults``              what one server does wrong
``dnssec``              what is wrong with signatures and proofs of absence
``delegation``          what is wrong with NS records, aliases, and among servers
``findings``            what is wrong in all, who does it, and what the CA will do
``advice``              which CAA record to publish, and where
``cuts``                zone cuts and aliases in answers
``asking``              putting questions to servers: paced, counted, each once
``auditor``             the driver: from a name to its matrix
======================  ====================================================================

Only the last two do any I/O.
"""
