"""certbot's configuration folder as the console finds it, made without certbot."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from certbot_caa_guard.plugin import lineage as state
from certbot_caa_guard.plugin import pending
from tests.plugin.bench import certificate

SERVER = "https://ca.example/dir"


class Configuration:
    """A folder of lineages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("renewal", "live", "archive"):
            (folder / name).mkdir(parents=True)

    def lineage(
        self,
        name: str,
        names: Sequence[str],
        *,
        held: Sequence[str] = (),
        age: float = 0,
        days: float = 90,
        top: str = "",
        **parameters: str,
    ) -> Path:
        """A lineage with a certificate of so many days' age; returns its renewal configuration."""
        for kind in ("live", "archive"):
            (self.folder / kind / name).mkdir()
        self.renew(name, names, age=age, days=days)
        conf = self.conf(name)
        options = {"server": SERVER, "authenticator": "standalone"} | parameters
        lines = [f"cert = {self.folder}/live/{name}/cert.pem", top, "[renewalparams]"]
        lines += [f"{key} = {value}" for key, value in options.items()]
        conf.write_text("\n".join(lines) + "\n")
        if held:
            state.write(conf, self.names(names, held))
        return conf

    def renew(self, name: str, names: Sequence[str], *, age: float = 0, days: float = 90) -> None:
        """Give a lineage a new certificate."""
        number = len(list((self.folder / "archive" / name).iterdir())) + 1
        pem = certificate(names, now=time.time(), age=age, days=days)
        made = self.folder / "archive" / name / f"cert{number}.pem"
        made.write_bytes(pem)
        then = time.time() - age * 86400
        os.utime(made, (then, then))
        (self.folder / "live" / name / "cert.pem").write_bytes(pem)

    def pending(self, name: str, ordered: Sequence[str], held: Sequence[str]) -> None:
        """Names held at a first issuance that was killed."""
        folder = self.folder / "caa-guard" / "pending"
        pending.write(folder, name, self.names(ordered, held), ordered)

    def account(self, name: str, uri: str) -> None:
        """An account of certbot's at SERVER."""
        folder = self.folder / "accounts" / "ca.example" / "dir" / name
        folder.mkdir(parents=True)
        (folder / "regr.json").write_text(json.dumps({"body": {}, "uri": uri}))

    def conf(self, name: str) -> Path:
        return self.folder / "renewal" / f"{name}.conf"

    def kept(self, name: str) -> state.Names:
        """What is on disk of wanted and held names."""
        return state.read(state.load(self.conf(name)).get(state.SECTION))

    @staticmethod
    def names(there: Sequence[str], held: Sequence[str]) -> state.Names:
        return state.Names(
            (*there, *held),
            tuple(state.Held(one, "denied", "2026-01-02T03:04:05Z", one) for one in held),
        )
