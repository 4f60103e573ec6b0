r"""A DNS internet of its own on loopback addresses, for tests and for trying things out.

::

    with Internet(tmp_path, {"example.net": '@ CAA 0 issue "letsencrypt.org"'}) as internet:
        internet.tlds.script(servfail, owner="net", qtype="CAA", lookups=1)
        ask(internet.resolver, "net", "CAA")              # SERVFAIL
        ask(internet.second_resolver, "net", "CAA")       # fine

A root, TLDs and the zones are served by real NSDs. In front of the TLDs and of the zones stands a
`FaultyServer`, which can be told to do wrong. Three Unbounds, set up like the one behind a public
CA, resolve from the root down, each with an address of its own, so that a rule with
``source=internet.resolver`` fails one point of view only. Several internets may run at the same
time; each has a /24 of 127.0.0.0/8 to itself. It takes root's right to listen on port 53 and the
Debian packages nsd and unbound, for signed zones ldnsutils too.

Failures seen through Unbound
-----------------------------
Measured with Unbound 1.17.1, a fresh cache, and a zone with one name server.

============  =======================================  ===============
action        questions until the client's SERVFAIL    time
============  =======================================  ===============
servfail      5: four in a row go unnoticed            3 ms
refused       5                                        3 ms
notimp        10: each again without EDNS              3 ms
formerr       10                                       3 ms
drop          14, with pauses that double              30 to 40 s
============  =======================================  ===============

So ``times=1`` only costs the resolver a millisecond; what fails one lookup is ``lookups=1``.
Unbound keeps a SERVFAIL for 5 s, whatever its cache settings, and a silent or unreachable server
in mind for 15 minutes: `Internet.forget` makes it forget both. The first lookup in a `silent` zone
took 200 s (the times above are those of a server that has answered before), later ones in the same
zone are SERVFAIL at once. "Port unreachable" (ICMP) does not make it give up, but being unable
to send does, hence the address of `dead` zones.

Clients with shorter patience than these times see a timeout. Daemons end with the thread that
started them, so enter an `Internet` in a thread that stays, such as the main thread.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import dns.name

from tests.internet.addresses import Block
from tests.internet.ask import ask
from tests.internet.control import ControlServer
from tests.internet.daemon import DaemonError, MissingProgramError
from tests.internet.faulty import (
    Action,
    Answer,
    Exchange,
    FaultyServer,
    Question,
    Rcode,
    Rule,
    delay,
    drop,
    formerr,
    notimp,
    nxdomain,
    pass_on,
    ratelimit,
    refused,
    servfail,
    transform,
)
from tests.internet.nsd import Nsd
from tests.internet.records import caa
from tests.internet.signing import Signing
from tests.internet.silence import Silence
from tests.internet.tree import FIRST_LEVEL, ROOT_LEVEL, TLD_LEVEL, Tree
from tests.internet.unbound import Unbound

__all__ = [
    "Action",
    "Answer",
    "Block",
    "DaemonError",
    "Exchange",
    "FaultyServer",
    "Internet",
    "MissingProgramError",
    "Nsd",
    "Question",
    "Rcode",
    "Rule",
    "Signing",
    "Silence",
    "Unbound",
    "ask",
    "caa",
    "delay",
    "drop",
    "formerr",
    "notimp",
    "nxdomain",
    "pass_on",
    "ratelimit",
    "refused",
    "servfail",
    "transform",
]

# Host numbers in the block. From 100 on they are free for the tests' own servers.
ROOT, SILENT, WEB, CONTROL = 1, 5, 6, 7
RESOLVERS = (11, 12, 13)
FRONTS, BACKENDS = 20, 60  # plus the level


# Nobody can be reached here from a loopback address, which Unbound notices when it sends. (An ICMP
# message from a closed port on loopback does not stop it: it goes on for 30 s.)
UNREACHABLE = "192.0.2.1"


class Internet:
    """The whole of it; up when the ``with`` block is entered, gone when it is left.

    `directory` gets the configurations and logs. `zones` maps zone names to records, one per line
    (or per item) and relative to the zone: ``www CAA 0 issue ";"``. SOA, NS and glue are added,
    and A records that point at `web` for the apex, a wildcard and each owner of a CAA record,
    unless the zone has its own. Zones in `bare` get no A records: there a missing name is NXDOMAIN.
    A TLD ("net") may be among the zones to give it records. A zone below another of the zones
    is delegated from there.

    `dead` zones are delegated to an address that cannot be reached, so that they fail at once;
    `silent` ones to an address that swallows all questions; by Unbound they fail after minutes.

    `signed` zones are signed, correctly or as said, and so are those above them;
    then all resolvers validate. `web` is the address for A records if it shall not be in our block.
    `resolver_options` is further text for the ``server:`` section of each Unbound.
    """

    def __init__(
        self,
        directory: Path,
        zones: Mapping[str, str | Sequence[str]],
        *,
        dead: Collection[str] = (),
        silent: Collection[str] = (),
        bare: Collection[str] = (),
        signed: Collection[str] | Mapping[str, Signing] = (),
        web: str | None = None,
        resolver_options: str = "",
    ) -> None:
        self.directory = Path(directory).absolute()
        self._zones = zones
        self._dead = dead
        self._silent = silent
        self._bare = bare
        self._signed = (
            signed if isinstance(signed, Mapping) else dict.fromkeys(signed, Signing.VALID)
        )
        self._web = web
        self._resolver_options = resolver_options
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Internet:
        with contextlib.ExitStack() as stack:
            self.block = stack.enter_context(Block())
            self._name_addresses()
            tree = self._plan()
            self.nsds = list(self._name_servers(tree))
            daemons: list[Nsd | Unbound] = [*self.nsds, *self._make_resolvers()]
            for daemon in daemons:  # all at once, then wait for each: a third of the time
                stack.callback(daemon.stop)
                daemon.launch()
            stack.enter_context(Silence(self.block.address(SILENT)))
            stack.enter_context(self.tlds)
            stack.enter_context(self.servers)
            commands = {"publish": self._publish_command, "withdraw": self.withdraw}
            control = ControlServer(self.block.address(CONTROL), commands)
            self.control = stack.enter_context(control).url
            for daemon in daemons:
                daemon.wait()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def hints(self, path: Path) -> Path:
        """Write root hints in the format of named.root, for resolvers of the test's own."""
        path.write_text(
            f".  3600000  NS  a.root-servers.\na.root-servers.  3600000  A  {self.root}\n",
            encoding="ascii",
        )
        return path

    def publish(self, owner: str, rtype: str, text: str) -> None:
        """Add a record to the running internet; see `Overlay` for what it does to the zone's own.

        ``publish("b.example.net", "CAA", '0 issue ";"')``. Takes effect with the next question,
        as the resolvers keep nothing. The owner must lie below a TLD that exists.
        """
        self._server_of(owner).overlay.publish(owner, rtype, text)

    def withdraw(self, owner: str, rtype: str, text: str | None = None) -> None:
        """Remove a published record, or all of that owner and type."""
        self._server_of(owner).overlay.withdraw(owner, rtype, text)

    def forget(self) -> None:
        """Empty the resolvers' caches, instead of waiting 5 s for them to forget a SERVFAIL."""
        for resolver in self.resolvers:
            resolver.forget()
        self._end_lookups()

    def expire(self) -> None:
        """The same in the middle of things: questions that are being worked on go on."""
        for resolver in self.resolvers:
            resolver.expire()
        self._end_lookups()

    def _end_lookups(self) -> None:
        self.tlds.end_lookups()
        self.servers.end_lookups()

    @property
    def errors(self) -> list[Exception]:
        """Exceptions inside the faulty servers, such as in a transform; should be empty."""
        return [*self.tlds.errors, *self.servers.errors]

    def _name_addresses(self) -> None:
        address = self.block.address
        self.root = address(ROOT)
        self.web = self._web or address(WEB)
        self.resolver, self.second_resolver, self.ca_resolver = map(address, RESOLVERS)

    def _plan(self) -> Tree:
        unreachable = dict.fromkeys(self._dead, UNREACHABLE)
        unreachable |= dict.fromkeys(self._silent, self.block.address(SILENT))
        return Tree.plan(self._zones, unreachable, self._signed)

    def _name_servers(self, tree: Tree) -> Iterator[Nsd]:
        """One NSD for each level of zones, behind `tlds` and `servers` (the root is not)."""
        fronts = [self.root]
        fronts += [self.block.address(FRONTS + n) for n in range(TLD_LEVEL, tree.depth)]
        backends = [self.root]
        backends += [self.block.address(BACKENDS + n) for n in range(TLD_LEVEL, tree.depth)]
        pairs = list(zip(fronts, backends, strict=True))
        self.tlds = FaultyServer(dict(pairs[TLD_LEVEL:FIRST_LEVEL]))
        self.servers = FaultyServer(dict(pairs[FIRST_LEVEL:]))
        keys = self.directory / "keys"
        levels, anchor = tree.texts(fronts, self.web, self._bare, keys)
        self._served = tree.levels
        self.trust_anchor = self._write_anchor(anchor)
        for number, (backend, zones) in enumerate(zip(backends, levels, strict=True)):
            yield Nsd(backend, zones, self.directory / f"nsd-{number}")

    def _write_anchor(self, ds: str | None) -> Path | None:
        if ds is None:
            return None
        anchor = self.directory / "root.ds"
        anchor.write_text(f". 3600 IN DS {ds}\n", encoding="ascii")
        return anchor

    def _make_resolvers(self) -> Iterator[Unbound]:
        self.resolvers = [
            Unbound(
                address,
                self.root,
                self.directory / f"unbound-{number}",
                trust_anchor=self.trust_anchor,
                extra=self._resolver_options,
            )
            for number, address in enumerate(
                (self.resolver, self.second_resolver, self.ca_resolver), 1
            )
        ]
        yield from self.resolvers

    def _publish_command(self, owner: str, rtype: str, text: str | None) -> None:
        if text is None:
            raise ValueError("publish needs a text")
        self.publish(owner, rtype, text)

    def _server_of(self, owner: str) -> FaultyServer:
        """The faulty server that answers for a name."""
        name = dns.name.from_text(owner).canonicalize()
        while name not in self._served:
            name = name.parent()
        if self._served[name] == ROOT_LEVEL:
            raise ValueError(f"{owner}: no such TLD")
        return self.tlds if self._served[name] == TLD_LEVEL else self.servers
