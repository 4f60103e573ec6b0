"""certbot and the guard under a schedule of faults, on a clock whose waits take no time.

Real parts: certbot as a process, Pebble behind a front that checks CAA as Boulder does, NSDs and
Unbounds.  Only waiting is simulated: `clock` says how.  `kill` ends a certbot at a chosen moment.
"""
