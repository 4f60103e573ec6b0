"""Get a certificate with acme and the guard, by http-01: a complete program.

    python guarded_client.py --server https://acme-staging-v02.api.letsencrypt.org/directory \
        --folder certificates example.net www.example.net

It writes key.pem and fullchain.pem, and held.json with the names that were left out, and why; they
are asked for again the next time.
"""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import josepy
from acme import challenges, crypto_util, messages
from acme.client import ClientNetwork, ClientV2
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from certbot_caa_guard.client import GuardedClient, Held, NothingOrderedError, Options


def register(server: str) -> ClientV2:
    """Register an account; a real program keeps its key."""
    key = josepy.JWKEC(key=ec.generate_private_key(ec.SECP256R1()))
    network = ClientNetwork(key, alg=josepy.ES256, user_agent="guarded-client")
    client = ClientV2(ClientV2.get_directory(server, network), network)
    client.new_account(messages.NewRegistration.from_data(terms_of_service_agreed=True))
    return client


class Responder:
    """Answers http-01 challenges with a web server of its own (RFC 8555 section 8.3)."""

    def __init__(self, client: ClientV2, address: str, port: int) -> None:
        self._client = client
        answers = self._answers = dict[str, str]()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer = answers.get(self.path)
                self.send_response(404 if answer is None else 200)
                self.end_headers()
                self.wfile.write((answer or "").encode())

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer((address, port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __call__(self, authorizations: Sequence[messages.AuthorizationResource]) -> None:
        """Prepare a challenge of each, and tell the CA."""
        key = self._client.net.key
        for authorization in authorizations:
            challenge = next(
                one
                for one in authorization.body.challenges
                if isinstance(one.chall, challenges.HTTP01)
            )
            path = f"{challenges.HTTP01.URI_ROOT_PATH}/{challenge.chall.encode('token')}"
            self._answers[f"/{path}"] = challenge.chall.key_authorization(key)
            self._client.answer_challenge(challenge, challenge.response(key))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Certificate:
    """A key, and what becomes of it; the files of one certificate."""

    folder: Path
    key_pem: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.key_pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def make_csr(self, names: Sequence[str]) -> bytes:
        return crypto_util.make_csr(self.key_pem, list(names))

    def remember(self, held: Sequence[Held]) -> None:
        """Write down what is left out, before the order that leaves it out."""
        known = dict.fromkeys(self.held, "held before")
        reasons = known | {one.name: one.reason for one in held}
        (self.folder / "held.json").write_text(json.dumps(reasons, indent=1))

    @property
    def held(self) -> list[str]:
        """The names that were left out so far."""
        path = self.folder / "held.json"
        return list(json.loads(path.read_text())) if path.exists() else []

    def save(self, fullchain_pem: str, held: Sequence[Held]) -> None:
        (self.folder / "key.pem").touch(mode=0o600)
        (self.folder / "key.pem").write_bytes(self.key_pem)
        (self.folder / "fullchain.pem").write_text(fullchain_pem)
        (self.folder / "held.json").write_text(
            json.dumps({one.name: one.reason for one in held}, indent=1)
        )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--server", required=True, metavar="URL", help="the CA's directory")
    parser.add_argument("--folder", required=True, type=Path, help="for the certificate")
    parser.add_argument("--resolver", default="auto", help="how to ask DNS")
    parser.add_argument("--address", default="", help="of the web server for http-01")
    parser.add_argument("--port", type=int, default=80, help="of the web server for http-01")
    parser.add_argument("names", nargs="+", metavar="NAME")
    options = parser.parse_args(arguments)

    certificate = Certificate(options.folder)
    client = register(options.server)
    responder = Responder(client, options.address, options.port)
    guarded = GuardedClient(
        client,
        responder,
        on_held=certificate.remember,
        options=Options(
            resolvers=[options.resolver],
            validation_methods={"http-01"},
            rejoining=certificate.held,
            history=options.folder / "history.sqlite",
        ),
    )
    try:
        issued = guarded.obtain(options.names, certificate.make_csr)
    except NothingOrderedError as error:
        print(error)
        return 1
    finally:
        responder.close()
    certificate.save(issued.fullchain_pem, issued.held)
    print(f"{issued.orders} orders placed; in the certificate: {', '.join(issued.ordered)}")
    for held in issued.held:
        print(f"left out: {held.name}: {held.verdict.value}: {held.reason}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
