"""An ACME client for the CA's own tests: acme's ClientV2, one step at a time, without sleeping."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import acme.challenges
import acme.client
import acme.crypto_util
import acme.messages
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from josepy.jwa import ES256
from josepy.jwk import JWKEC

from . import CA

Document = dict[str, Any]


@contextlib.contextmanager
def web_server(address: str, port: int, files: dict[str, str]) -> Iterator[None]:
    """Serve these paths over HTTP, as http-01 wants them (RFC 8555 section 8.3)."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = files.get(self.path)
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write((body or "").encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer((address, port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


class _Finalization:
    """A finalize request's payload; acme's own class for it differs from version to version."""

    def __init__(self, csr_pem: bytes) -> None:
        der = x509.load_pem_x509_csr(csr_pem).public_bytes(Encoding.DER)
        self._csr = base64.urlsafe_b64encode(der).decode().rstrip("=")

    def json_dumps(self, **_options: Any) -> str:
        return json.dumps({"csr": self._csr})


class Client:
    """One account at the CA. Documents are what the CA sent, as plain JSON."""

    def __init__(self, ca: CA, files: dict[str, str]) -> None:
        self._files = files
        self.key = JWKEC(key=ec.generate_private_key(ec.SECP256R1()))
        self._net = acme.client.ClientNetwork(self.key, alg=ES256, user_agent="test")
        # requests takes a path here; acme's own type for it is a plain bool.
        self._net.verify_ssl = str(ca.bundle)  # type: ignore[assignment]
        directory = acme.client.ClientV2.get_directory(ca.directory_url, self._net)
        self.acme = acme.client.ClientV2(directory, self._net)
        account = self.acme.new_account(
            acme.messages.NewRegistration.from_data(
                email="a@example.test", terms_of_service_agreed=True
            )
        )
        self.account = str(account.uri)

    def close(self) -> None:
        self._net.session.close()

    def post(self, url: str, body: Any = None) -> Any:
        """POST, or POST-as-GET; gives the response, or raises acme.messages.Error."""
        return self._net.post(url, body, new_nonce_url=self.acme.directory["newNonce"])

    def get(self, url: str) -> Document:
        return dict(self.post(url).json())

    def order(self, *names: str) -> acme.messages.OrderResource:
        """Place an order with a key and CSR of its own."""
        private = ec.generate_private_key(ec.SECP256R1())
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return self.acme.new_order(acme.crypto_util.make_csr(pem, list(names)))

    def authorizations(self, order: acme.messages.OrderResource) -> dict[str, Document]:
        """Fetch an order's authorizations, by identifier; 'url' is added to each."""
        found = {}
        for url in self.get(order.uri)["authorizations"]:
            document = {**self.get(url), "url": url}
            wildcard = "*." if document.get("wildcard") else ""
            found[wildcard + document["identifier"]["value"]] = document
        return found

    def challenge(self, authorization: Document, kind: str) -> acme.messages.ChallengeBody:
        found = next(each for each in authorization["challenges"] if each["type"] == kind)
        body: acme.messages.ChallengeBody = acme.messages.ChallengeBody.from_json(found)
        return body

    def attempt(self, authorization: Document) -> None:
        """Answer an authorization's http-01 challenge."""
        challenge = self.challenge(authorization, "http-01")
        path = f"/.well-known/acme-challenge/{challenge.chall.encode('token')}"
        self._files[path] = challenge.chall.key_authorization(self.key)
        self.acme.answer_challenge(challenge, challenge.response(self.key))

    def settle(self, url: str) -> Document:
        """Poll an order or authorization until it is no longer pending or processing."""
        while True:
            document = self.get(url)
            if document["status"] not in ("pending", "processing"):
                return document

    def authorize(self, order: acme.messages.OrderResource) -> dict[str, Document]:
        """Attempt all that is pending and give all authorizations as they come out."""
        for document in self.authorizations(order).values():
            if document["status"] == "pending":
                self.attempt(document)
        return {
            name: {**self.settle(document["url"]), "url": document["url"]}
            for name, document in self.authorizations(order).items()
        }

    def begin_finalization(self, order: acme.messages.OrderResource) -> Any:
        """POST to finalize; gives the response, or raises acme.messages.Error."""
        return self.post(order.body.finalize, _Finalization(order.csr_pem))

    def finalize(self, order: acme.messages.OrderResource) -> Document:
        """Finalize and poll the order to its end."""
        self.begin_finalization(order)
        return self.settle(order.uri)
