"""Programs on `GuardedClient` in a world: one account, many certificates, in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import acme.client
import josepy
from acme import challenges, crypto_util, messages
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from certbot_caa_guard.client import GuardedClient, Options, Time
from tests.ca import CA
from tests.internet import Internet
from tests.simulation.scenarios import Outcome, Place, Scenario, seed_for, set_place
from tests.simulation.world import World

# Between two polls the CA gets time to work.
_REAL_PAUSE = 0.02

# Seconds of the simulated clock from one certificate to the next.
_INTERVAL = 60.0


@dataclass
class Responder:
    """Answers dns-01 challenges on the world's internet (RFC 8555 section 8.4)."""

    client: acme.client.ClientV2
    internet: Internet

    def __call__(self, authorizations: Sequence[messages.AuthorizationResource]) -> None:
        key = self.client.net.key
        for authorization in authorizations:
            challenge = next(
                one
                for one in authorization.body.challenges
                if isinstance(one.chall, challenges.DNS01)
            )
            owner = f"_acme-challenge.{authorization.body.identifier.value}"
            self.internet.withdraw(owner, "TXT")
            self.internet.publish(owner, "TXT", challenge.chall.validation(key))
            self.client.answer_challenge(challenge, challenge.response(key))


@contextmanager
def client_of(ca: CA) -> Iterator[acme.client.ClientV2]:
    """A client with an account."""
    key = josepy.JWKRSA(key=rsa.generate_private_key(public_exponent=65537, key_size=2048))
    network = acme.client.ClientNetwork(key, user_agent="simulation")
    # requests takes a path here; acme's own type for it is a plain bool.
    network.verify_ssl = str(ca.bundle)  # type: ignore[assignment]
    client = acme.client.ClientV2(
        acme.client.ClientV2.get_directory(ca.directory_url, network), network
    )
    client.new_account(messages.NewRegistration.from_data(terms_of_service_agreed=True))
    yield client
    network.session.close()


def run_many(
    world: World, scenario: Scenario, place: Place, *, seed: int, times: int
) -> Iterator[Outcome]:
    """Get so many certificates one after the other, the schedule of faults going on."""
    world.begin_again()
    set_place(world, place)
    struck = scenario.fault(world, seed_for(place, seed))
    with client_of(world.ca) as client:
        for number in range(times):
            world.clock.skip(_INTERVAL)
            before, skipped, faults = world.ca.spent, world.clock.skipped, struck()
            names = scenario.names(f"{place.name.lower()}-{seed}-{number}")
            got, said = _obtain(world, client, names)
            spent = world.ca.spent - before
            yield Outcome(
                wanted=len(names),
                got=got,
                orders=spent.orders,
                failed_authorizations=spent.failed_authorizations,
                issued=spent.certificates,
                kept=int(got > 0),
                status=int(got == 0),
                runs=1,
                waited=world.clock.skipped - skipped,
                faults=struck() - faults,
                output=said,
            )


def _obtain(world: World, client: acme.client.ClientV2, names: Sequence[str]) -> tuple[int, str]:
    """Get one certificate; gives how many names are in it, and what was said instead of it."""
    resolvers = (world.internet.resolver, world.internet.second_resolver)
    guarded = GuardedClient(
        client,
        Responder(client, world.internet),
        options=Options(
            resolvers=[f"udp://{address}" for address in resolvers], validation_methods={"dns-01"}
        ),
        time=Time(clock=world.clock.now, now=_now(world), sleep=_sleep(world)),
    )
    try:
        issued = guarded.obtain(names, _make_csr)
    except Exception as error:  # noqa: BLE001 - whatever it is, it counts as a failure
        return 0, repr(error)
    return len(issued.ordered), ""


def _now(world: World) -> Callable[[], float]:
    return lambda: time.time() + world.clock.skipped


def _sleep(world: World) -> Callable[[float], None]:
    def sleep(seconds: float) -> None:
        time.sleep(min(seconds, _REAL_PAUSE))
        world.clock.skip(seconds)

    return sleep


def _make_csr(names: Sequence[str]) -> Any:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return crypto_util.make_csr(pem, list(names))
