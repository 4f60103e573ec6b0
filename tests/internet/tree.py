"""The tree of zones: which are needed, who serves them, and what their texts are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import dns.name

from tests.internet.records import (
    Delegation,
    Record,
    address_records,
    parse_records,
    zone_text,
)
from tests.internet.signing import Signing, sign

Name = dns.name.Name
ROOT_LEVEL, TLD_LEVEL, FIRST_LEVEL = 0, 1, 2


@dataclass
class Tree:
    """The zones asked for, and those above them.

    `levels` tells how many zones lie above a zone. Zones of one level share a name server and
    zones of different levels never do, because a server that has both parent and child answers
    for the child when a referral is wanted.
    """

    records: dict[Name, list[Record]]
    unreachable: dict[Name, str]
    """Zones that are delegated to an address without a name server: name to address."""
    signing: dict[Name, Signing]
    levels: dict[Name, int] = field(default_factory=dict)

    @classmethod
    def plan(
        cls,
        zones: Mapping[str, str | Sequence[str]],
        unreachable: Mapping[str, str],
        signed: Mapping[str, Signing],
    ) -> Tree:
        """Check the names; add TLDs and the root, and signatures all the way to a signed zone."""
        tree = cls(
            {_name(zone): parse_records(text) for zone, text in zones.items()},
            {_name(zone): address for zone, address in unreachable.items()},
            {_name(zone): how for zone, how in signed.items()},
        )
        if both := tree.records.keys() & tree.unreachable.keys():
            raise ValueError(f"both served and unreachable: {_listed(both)}")
        if unknown := tree.signing.keys() - tree.records.keys():
            raise ValueError(f"signed, but not among the zones: {_listed(unknown)}")
        for name in [*tree.records, *tree.unreachable]:
            tld = dns.name.Name(name.labels[-2:])
            if tld not in tree.unreachable:
                tree.records.setdefault(tld, [])
        tree.records.setdefault(dns.name.root, [])
        tree._sign_chains()
        for name in sorted(tree.records, key=len):
            tree.levels[name] = tree._level(name)
        return tree

    def _level(self, name: Name) -> int:
        above = self.parent(name)
        return ROOT_LEVEL if above is None else self.levels[above] + 1

    def _sign_chains(self) -> None:
        for name in list(self.signing):
            above = self.parent(name)
            while above is not None:
                self.signing.setdefault(above, Signing.VALID)
                above = self.parent(above)

    def parent(self, name: Name) -> Name | None:
        """The closest zone above, the one that delegates `name`."""
        if name == dns.name.root:
            return None
        above = name.parent()
        while above not in self.records:
            if above in self.unreachable:
                raise ValueError(f"{name} lies below {above}, which is unreachable")
            above = above.parent()
        return above

    @property
    def depth(self) -> int:
        """The number of levels, root and TLDs included."""
        return max(self.levels.values()) + 1

    def texts(
        self, servers: Sequence[str], web: str, bare: Collection[str], keys: Path
    ) -> tuple[list[dict[str, str]], str | None]:
        """The zone texts of each level, and the root's DS if the root is signed.

        `servers` are the addresses that each level's zones are delegated to. From the leaves to
        the root, because a parent holds its children's DS.
        """
        without_addresses = {_name(zone) for zone in bare}
        cuts: dict[Name, list[Delegation]] = {name: [] for name in self.records}
        for name, address in self.unreachable.items():
            cuts[self._above(name)].append(Delegation(name, address))
        levels: list[dict[str, str]] = [{} for _ in range(self.depth)]
        anchor = None
        for name in sorted(self.records, key=len, reverse=True):
            level = self.levels[name]
            records = self.records[name]
            if level >= FIRST_LEVEL and name not in without_addresses:
                records = [*records, *address_records(records, web)]
            text = zone_text(name, servers[level], records, cuts[name])
            ds: tuple[str, ...] = ()
            if name in self.signing:
                text, anchor = sign(name, text, self.signing[name], keys / f"zone-{name}")
                ds = (anchor,)
            if level != ROOT_LEVEL:
                cuts[self._above(name)].append(Delegation(name, servers[level], ds))
            levels[level][str(name)] = text
        return levels, anchor

    def _above(self, name: Name) -> Name:
        above = self.parent(name)
        assert above is not None
        return above


def _name(text: str) -> Name:
    return dns.name.from_text(text).canonicalize()


def _listed(names: Collection[Name]) -> str:
    return ", ".join(sorted(name.to_text(omit_final_dot=True) for name in names))
