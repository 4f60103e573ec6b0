"""Asking a recursive resolver over TLS and HTTPS."""

from __future__ import annotations

import asyncio
import functools
import gc
import importlib
import ipaddress
import logging
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Protocol

import dns.message
import dns.rcode
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from zope.interface.verify import verifyObject

from certbot_caa_guard.caa import Record
from certbot_caa_guard.climb import Lookup, Outcome
from certbot_caa_guard.interfaces import IResolver
from certbot_caa_guard.resolvers import encrypted
from certbot_caa_guard.resolvers.encrypted import EncryptedResolver
from certbot_caa_guard.resolvers.loader import ResolverError
from certbot_caa_guard.resolvers.spec import Spec
from tests.internet import Internet, Unbound, caa, servfail
from tests.resolvers.responder import Question, reply

PATIENT = 10.0  # seconds; never reached
SOON = 0.2  # seconds; for what never answers

ISSUE = (Record(0, b"issue", b"letsencrypt.org"),)
NAME = "resolver.test"  # in the certificate; nobody can look it up


@dataclass(frozen=True)
class Pki:
    """A CA, and a certificate by it, as files."""

    ca: Path
    certificate: Path
    key: Path


def make_pki(directory: Path, addresses: list[str]) -> Pki:
    now = datetime.now(timezone.utc)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a CA for tests")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a resolver")])
    names: list[x509.GeneralName] = [x509.DNSName(NAME)]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]

    def build(
        name: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType
    ) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()),
                critical=False,
            )
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
        )
        if isinstance(extension, x509.BasicConstraints):
            usage = dict.fromkeys(
                (
                    "digital_signature",
                    "content_commitment",
                    "key_encipherment",
                    "data_encipherment",
                    "key_agreement",
                    "encipher_only",
                    "decipher_only",
                ),
                False,
            )
            builder = builder.add_extension(
                x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True
            )
        return builder.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    pki = Pki(directory / "ca.pem", directory / "certificate.pem", directory / "key.pem")
    pki.ca.write_bytes(build(issuer, keys[0], x509.BasicConstraints(ca=True, path_length=None)))
    pki.certificate.write_bytes(build(subject, keys[1], x509.SubjectAlternativeName(names)))
    pki.key.write_bytes(
        keys[1].private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pki


@pytest.fixture(scope="module")
def internet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    zones = {
        "example.net": ['@ CAA 0 issue "letsencrypt.org"', f"empty-tag CAA {caa(0, '', '')}"],
        "fails.net": "",
    }
    with Internet(tmp_path_factory.mktemp("internet"), zones) as internet:
        internet.servers.script(servfail, below="fails.net")
        yield internet


@pytest.fixture(scope="module")
def pki(internet: Internet) -> Pki:
    return make_pki(internet.directory, ["127.0.0.1", internet.block.address(110)])


@pytest.fixture(scope="module")
def resolving(internet: Internet, pki: Pki) -> Iterator[str]:
    """The address of an Unbound that answers over TLS and HTTPS."""
    address = internet.block.address(110)
    extra = f"""\
        interface: {address}@853
        interface: {address}@443
        tls-port: 853
        https-port: 443
        tls-service-key: "{pki.key}"
        tls-service-pem: "{pki.certificate}"
    """
    with Unbound(address, internet.root, internet.directory / "encrypted", extra=extra):
        yield address


@pytest.fixture(autouse=True)
def _trusted(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "pki" in request.fixturenames or "resolving" in request.fixturenames:
        pki: Pki = request.getfixturevalue("pki")
        monkeypatch.setenv("SSL_CERT_FILE", str(pki.ca))


@pytest.fixture(autouse=True)
def _nothing_is_left_open() -> Iterator[None]:
    before = open_files()
    yield
    gc.collect()  # so that what was not closed warns now
    # What an earlier test left may have been closed meanwhile.
    assert open_files() <= before


def open_files() -> set[str]:
    return {
        str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()
    }


@pytest.fixture
def httpx(monkeypatch: pytest.MonkeyPatch) -> Any:
    """HTTP/2, which is an extra."""
    for name in ("HTTPS_PROXY", "ALL_PROXY", "HTTP_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    pytest.importorskip("h2")
    return pytest.importorskip("httpx")


def tls_at(address: str, port: int = 853) -> EncryptedResolver:
    return encrypted.tls(Spec(f"tls://{address}:{port}", "tls", address, port))


def https_at(address: str, port: int = 443) -> EncryptedResolver:
    url = f"https://{address}:{port}/dns-query"
    return encrypted.https(Spec(url, "https", address, port))


Factory = Callable[..., EncryptedResolver]


@pytest.fixture(params=["tls", "https"])
def factory(request: pytest.FixtureRequest) -> Factory:
    if request.param == "https":
        request.getfixturevalue("httpx")
        return https_at
    return tls_at


def look_up(resolver: EncryptedResolver, owner: str, timeout: float = PATIENT) -> Lookup:
    return asyncio.run(resolver.lookup(owner, timeout))


class TestThroughUnbound:
    def test_is_an_independent_resolver(self, resolving: str, factory: Factory) -> None:
        resolver = factory(resolving)
        assert verifyObject(IResolver, resolver)
        assert resolver.perspective.public
        assert resolver.perspective.name.startswith(("tls://", "https://"))
        assert resolver.perspective.addresses == {resolving}
        resolver.close()
        assert look_up(resolver, "example.net").outcome is Outcome.RECORDS

    def test_is_usable(self, resolving: str, factory: Factory) -> None:
        assert asyncio.run(factory(resolving).is_usable(PATIENT))

    def test_records(self, resolving: str, factory: Factory) -> None:
        lookup = look_up(factory(resolving), "example.net")
        assert (lookup.outcome, lookup.records) == (Outcome.RECORDS, ISSUE)
        assert 0 < lookup.seconds < PATIENT

    def test_a_record_with_an_empty_tag_is_a_record(self, resolving: str, factory: Factory) -> None:
        lookup = look_up(factory(resolving), "empty-tag.example.net")
        assert lookup.records == (Record(0, b"", b""),)

    def test_no_records(self, resolving: str, factory: Factory) -> None:
        lookup = look_up(factory(resolving), "www.example.net")
        assert (lookup.outcome, lookup.zone) == (Outcome.NOTHING, "example.net")

    def test_failures(self, resolving: str, factory: Factory) -> None:
        resolver = factory(resolving)
        assert look_up(resolver, "fails.net").outcome is Outcome.SERVFAIL
        assert look_up(resolver, "missing-tld").outcome is Outcome.NXDOMAIN

    def test_what_is_no_name(self, resolving: str, factory: Factory) -> None:
        assert look_up(factory(resolving), "a..net").outcome is Outcome.MALFORMED

    def test_many_at_once_over_one_connection(
        self, monkeypatch: pytest.MonkeyPatch, resolving: str, factory: Factory
    ) -> None:
        made: list[object] = []
        resolver = factory(resolving)
        connect = resolver._sessions._connect
        monkeypatch.setattr(resolver._sessions, "_connect", lambda: made.append(1) or connect())

        async def scenario() -> list[Lookup]:
            owners = [f"n{number}.example.net" for number in range(300)]
            return await asyncio.gather(*(resolver.lookup(owner, PATIENT) for owner in owners))

        lookups = asyncio.run(scenario())
        assert [lookup.owner for lookup in lookups] == [f"n{n}.example.net" for n in range(300)]
        assert {lookup.outcome for lookup in lookups} == {Outcome.NOTHING}
        assert len(made) == 1

    def test_one_loop_after_another(self, resolving: str, factory: Factory) -> None:
        resolver = factory(resolving)
        for _ in range(2):
            loop = asyncio.new_event_loop()
            lookup = loop.run_until_complete(resolver.lookup("example.net", PATIENT))
            loop.close()
            assert lookup.outcome is Outcome.RECORDS

    def test_a_certificate_for_another_name(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, resolving: str, factory: Factory
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(make_pki(tmp_path, []).ca))
        resolver = factory(resolving)
        assert look_up(resolver, "example.net").outcome is Outcome.NETWORK
        assert not asyncio.run(resolver.is_usable(PATIENT))

    @pytest.mark.usefixtures("pki")
    def test_nobody_listens(self, internet: Internet, factory: Factory) -> None:
        resolver = factory(internet.block.address(111))
        assert look_up(resolver, "example.net").outcome is Outcome.NETWORK
        assert not asyncio.run(resolver.is_usable(PATIENT))


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler, pki: Pki | None) -> AsyncIterator[int]:
    """A server on 127.0.0.1, over TLS unless there is no PKI; its port."""
    context = None
    if pki is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki.certificate, pki.key)
        context.set_alpn_protocols(["h2"])  # which those who want none do not see
    writers: list[asyncio.StreamWriter] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            await handler(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        for _ in range(5):
            await asyncio.sleep(0)


async def read_question(reader: asyncio.StreamReader) -> bytes:
    length = int.from_bytes(await reader.readexactly(2), "big")
    return await reader.readexactly(length)


def frame(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


def asked(query: bytes) -> Question:
    return Question(query, "encrypted", 0)


def permits(query: bytes) -> bytes:
    message = dns.message.from_wire(query)
    owner = message.question[0].name
    return reply(asked(query), answer=[f'{owner} CAA 0 issue "letsencrypt.org"'])


def ask_tls(
    handler: Handler, pki: Pki | None, owners: list[str], timeout: float = PATIENT
) -> list[Lookup]:
    """Ask about all at once."""

    async def scenario() -> list[Lookup]:
        async with serving(handler, pki) as port:
            resolver = tls_at("127.0.0.1", port)
            return await asyncio.gather(*(resolver.lookup(owner, timeout) for owner in owners))

    return asyncio.run(scenario())


class Talk(Protocol):
    """One connection as its server sees it, over TLS or HTTPS."""

    async def question(self) -> tuple[int, bytes]:
        """The next one, under a number of its own."""

    def answer(self, number: int, message: bytes) -> None: ...

    async def end(self) -> None:
        """Say that nothing more will be answered, where there are words for it."""


class TlsTalk:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer, self._asked = reader, writer, 0

    async def question(self) -> tuple[int, bytes]:
        self._asked += 1
        return self._asked, await read_question(self._reader)

    def answer(self, _number: int, message: bytes) -> None:
        self._writer.write(frame(message))

    async def end(self) -> None:
        pass


class HttpsTalk:
    """HTTP/2 by h2.

    :param streams: how many may be open at once.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, streams: int = 128
    ) -> None:
        connection = importlib.import_module("h2.connection")
        config = importlib.import_module("h2.config")
        settings = importlib.import_module("h2.settings")
        self._events = importlib.import_module("h2.events")
        self._reader, self._writer = reader, writer
        self._http = connection.H2Connection(config.H2Configuration(client_side=False))
        most = {settings.SettingCodes.MAX_CONCURRENT_STREAMS: streams}
        self._http.local_settings = settings.Settings(client=False, initial_values=most)
        self._http.initiate_connection()
        self._bodies: dict[int, bytes] = {}
        self._ready: list[tuple[int, bytes]] = []

    async def question(self) -> tuple[int, bytes]:
        while not self._ready:
            self._send()
            data = await self._reader.read(0xFFFF)
            if not data:
                raise ConnectionResetError
            for event in self._http.receive_data(data):
                if isinstance(event, self._events.DataReceived):
                    self._bodies[event.stream_id] = (
                        self._bodies.get(event.stream_id, b"") + event.data
                    )
                elif isinstance(event, self._events.StreamEnded):
                    self._ready.append((event.stream_id, self._bodies.pop(event.stream_id)))
        return self._ready.pop(0)

    def answer(self, number: int, message: bytes) -> None:
        headers = [(":status", "200"), ("content-type", "application/dns-message")]
        self._http.send_headers(number, headers)
        self._http.send_data(number, message, end_stream=True)
        self._send()

    async def end(self) -> None:
        self._http.close_connection()
        self._send()
        while await self._reader.read(0xFFFF):
            pass

    def _send(self) -> None:
        self._writer.write(self._http.data_to_send())


Talking = Callable[[Talk, int], Awaitable[None]]


@dataclass
class Server:
    """A server on loopback, and how many connections it was asked over."""

    port: int
    connections: int = 0


@pytest.fixture
def talking(
    factory: Factory, pki: Pki
) -> Callable[..., AbstractAsyncContextManager[tuple[EncryptedResolver, Server]]]:
    """A resolver, and its server, which is told the number of each connection from 1 on."""

    @asynccontextmanager
    async def start(
        talk: Talking, **options: int
    ) -> AsyncIterator[tuple[EncryptedResolver, Server]]:
        server = Server(0)
        kind = HttpsTalk if factory is https_at else TlsTalk

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            server.connections += 1
            await talk(kind(reader, writer, **options), server.connections)

        async with serving(handle, pki) as server.port:
            yield factory("127.0.0.1", server.port), server

    return start


Start = Callable[..., Any]


class TestConnectionsThatEnd:
    """A server may end a connection at any time, and say so or not."""

    def test_what_a_server_does_not_answer_any_more_is_asked_over_another(
        self, talking: Start
    ) -> None:
        async def few(talk: Talk, _connection: int) -> None:
            for _ in range(10):
                number, query = await talk.question()
                talk.answer(number, permits(query))
            await talk.end()

        async def scenario() -> set[Outcome]:
            async with talking(few) as (resolver, _):
                owners = [f"n{number}.test" for number in range(100)]
                found = await asyncio.gather(*(resolver.lookup(one, PATIENT) for one in owners))
                return {lookup.outcome for lookup in found}

        assert asyncio.run(scenario()) == {Outcome.RECORDS}

    def test_one_that_falls_silent_is_not_asked_for_long(self, talking: Start) -> None:
        async def dies(talk: Talk, connection: int) -> None:
            number, query = await talk.question()
            talk.answer(number, permits(query))
            while True:
                number, query = await talk.question()
                if connection > 1:
                    talk.answer(number, permits(query))

        async def scenario() -> tuple[list[Outcome], int]:
            async with talking(dies) as (resolver, server), resolver._sessions.use():
                timeouts = {"a.test": PATIENT, "b.test": SOON, "c.test": PATIENT, "d.test": PATIENT}
                found = [await resolver.lookup(*one) for one in timeouts.items()]
                return [lookup.outcome for lookup in found], server.connections

        records = Outcome.RECORDS
        assert asyncio.run(scenario()) == ([records, Outcome.TIMEOUT, records, records], 2)

    def test_one_that_answers_others_meanwhile_is_kept(self, talking: Start) -> None:
        async def overlooks(talk: Talk, _connection: int) -> None:
            while True:
                number, query = await talk.question()
                if b"overlooked" not in query:
                    talk.answer(number, permits(query))

        async def scenario() -> int:
            async with talking(overlooks) as (resolver, server), resolver._sessions.use():
                given_up = asyncio.ensure_future(resolver.lookup("overlooked.test", PATIENT))
                for _ in range(5):
                    assert (await resolver.lookup("a.test", PATIENT)).outcome is Outcome.RECORDS
                given_up.cancel()
                await asyncio.wait([given_up])
                assert (await resolver.lookup("a.test", PATIENT)).outcome is Outcome.RECORDS
                return server.connections

        assert asyncio.run(scenario()) == 1

    def test_a_late_answer_counts_though_there_is_another_by_then(self, talking: Start) -> None:
        asked_again = asyncio.Event()

        async def late(talk: Talk, connection: int) -> None:
            while True:
                number, query = await talk.question()
                if connection > 1:
                    asked_again.set()
                elif b"late" in query:
                    await asked_again.wait()
                else:
                    continue
                talk.answer(number, permits(query))

        async def scenario() -> tuple[list[Outcome], int]:
            async with talking(late) as (resolver, server):
                patient = asyncio.ensure_future(resolver.lookup("late.test", PATIENT))
                given_up = await resolver.lookup("a.test", SOON)
                found = [given_up, await resolver.lookup("b.test", PATIENT), await patient]
                return [lookup.outcome for lookup in found], server.connections

        records = Outcome.RECORDS
        assert asyncio.run(scenario()) == ([Outcome.TIMEOUT, records, records], 2)


class TestTls:
    def test_answers_may_come_in_any_order(self, pki: Pki) -> None:
        async def reversed_(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            queries = [await read_question(reader) for _ in range(3)]
            for query in reversed(queries):
                writer.write(frame(permits(query)))
            await reader.read()

        lookups = ask_tls(reversed_, pki, ["a.test", "b.test", "c.test"])
        assert [lookup.owner for lookup in lookups] == ["a.test", "b.test", "c.test"]
        assert {lookup.records for lookup in lookups} == {ISSUE}

    def test_answers_may_come_in_pieces(self, pki: Pki) -> None:
        async def piecemeal(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for octet in frame(permits(await read_question(reader))):
                writer.write(bytes([octet]))
                await writer.drain()
            await reader.read()

        assert ask_tls(piecemeal, pki, ["a.test"])[0].records == ISSUE

    def test_a_lost_connection_is_made_again(self, pki: Pki) -> None:
        connections = 0

        async def forgetful(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            query = await read_question(reader)
            if connections == 2:
                writer.write(frame(permits(query)))
                await reader.read()

        assert ask_tls(forgetful, pki, ["a.test"])[0].records == ISSUE
        assert connections == 2

    def test_a_connection_that_is_always_lost_is_made_again_once(self, pki: Pki) -> None:
        connections = 0

        async def closing(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            await read_question(reader)

        assert ask_tls(closing, pki, ["a.test"])[0].outcome is Outcome.NETWORK
        assert connections == 2

    def test_an_answer_to_another_question(self, pki: Pki) -> None:
        async def mistaken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            query = await read_question(reader)
            writer.write(frame(b"\xff\xff" + permits(query)[2:]))  # nobody asked that
            writer.write(frame(b""))
            writer.write(frame(permits(query).replace(b"\x01a\x04test", b"\x01b\x04test")))
            await reader.read()

        assert ask_tls(mistaken, pki, ["a.test"])[0].outcome is Outcome.NETWORK

    def test_silence(self, pki: Pki) -> None:
        async def mute(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await reader.read()

        lookups = ask_tls(mute, pki, ["a.test", "b.test"], SOON)
        assert {lookup.outcome for lookup in lookups} == {Outcome.TIMEOUT}

    def test_silence_instead_of_tls(self, pki: Pki) -> None:  # noqa: ARG002 - it is trusted
        async def mute(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await reader.read()

        lookups = ask_tls(mute, None, ["a.test", "b.test"], SOON)
        assert {lookup.outcome for lookup in lookups} == {Outcome.TIMEOUT}

    def test_one_who_gives_up_does_not_disturb_the_others(self, pki: Pki) -> None:
        async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_question(reader)
            query = await read_question(reader)
            writer.write(frame(permits(query)))
            await reader.read()

        async def scenario() -> Lookup:
            async with serving(late, pki) as port:
                resolver = tls_at("127.0.0.1", port)
                first = asyncio.ensure_future(resolver.lookup("a.test", SOON))
                second = asyncio.ensure_future(resolver.lookup("b.test", PATIENT))
                assert (await first).outcome is Outcome.TIMEOUT
                return await second

        assert asyncio.run(scenario()).records == ISSUE

    def test_something_else_than_tls(self, pki: Pki) -> None:  # noqa: ARG002 - it is trusted
        async def rude(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 mail.example ESMTP\r\n")
            await writer.drain()

        assert ask_tls(rude, None, ["a.test"])[0].outcome is Outcome.NETWORK

    def test_a_name_is_looked_up_by_the_system_and_proven_by_the_certificate(
        self, monkeypatch: pytest.MonkeyPatch, pki: Pki
    ) -> None:
        async def right(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(frame(permits(await read_question(reader))))
            await reader.read()

        async def scenario() -> Lookup:
            real = socket.getaddrinfo

            def getaddrinfo(host: str, *arguments: Any, **options: Any) -> Any:
                return real("127.0.0.1" if host == NAME else host, *arguments, **options)

            monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
            async with serving(right, pki) as port:
                resolver = encrypted.tls(Spec(f"tls://{NAME}:{port}", "tls", NAME, port))
                assert resolver.perspective.addresses == {NAME, "127.0.0.1"}
                return await resolver.lookup("a.test", PATIENT)

        assert asyncio.run(scenario()).records == ISSUE

    @pytest.mark.parametrize("host", ["a..test", ".test", "a" * 64 + ".test"])
    def test_a_host_that_nobody_can_be_called(self, host: str) -> None:
        resolver = tls_at(host)
        assert not asyncio.run(resolver.is_usable(PATIENT))
        assert look_up(resolver, "a.test").outcome is Outcome.NETWORK

    def test_numbers_in_use_are_not_used_again(self, pki: Pki) -> None:
        seen: list[bytes] = []

        async def collecting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            queries = [await read_question(reader) for _ in range(2)]
            seen.extend(query[:2] for query in queries)
            for query in queries:
                writer.write(frame(permits(query)))
            await reader.read()

        async def scenario() -> list[bytes]:
            async with serving(collecting, pki) as port:
                session = encrypted.TlsSession("127.0.0.1", port, encrypted.default_context())
                pipeline = await session._connected()
                query = dns.message.make_query("a.test", "CAA").to_wire()
                first = asyncio.ensure_future(pipeline.exchange(query))
                await asyncio.sleep(0)
                pipeline._next = 0xFFFF + pipeline._next  # all the way round
                answers = await asyncio.gather(first, pipeline.exchange(query))
                await session.close()
                with pytest.raises(encrypted.LostError):
                    await pipeline.exchange(query)
                return answers

        assert len(asyncio.run(scenario())) == 2
        assert len(set(seen)) == 2

    def test_a_machine_whose_certificates_cannot_be_read(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail() -> ssl.SSLContext:
            raise FileNotFoundError("no such file")

        monkeypatch.setattr(ssl, "create_default_context", fail)
        with pytest.raises(ResolverError, match="certificates of this machine"):
            tls_at("127.0.0.1")


class TestHttps:
    def test_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def missing(name: str) -> None:
            raise ModuleNotFoundError(name)

        monkeypatch.setattr(importlib, "import_module", missing)
        with pytest.raises(ResolverError, match=r"pip install certbot-caa-guard\[doh\]"):
            https_at("127.0.0.1")

    def test_the_question_is_as_the_standard_says(
        self, monkeypatch: pytest.MonkeyPatch, httpx: Any
    ) -> None:
        requests: list[Any] = []

        def answer(request: Any) -> Any:
            requests.append(request)
            return httpx.Response(200, headers=MEDIA_TYPE, content=permits(request.content))

        assert ask_https(monkeypatch, httpx, answer).records == ISSUE
        (request,) = requests
        assert request.method == "POST"
        assert str(request.url) == "https://192.0.2.1/dns-query"
        assert request.headers["Content-Type"] == "application/dns-message"
        assert request.headers["Accept"] == "application/dns-message"
        assert request.content[:2] == b"\0\0"

    @pytest.mark.parametrize(
        ("status", "headers", "content"),
        [
            (500, {"Content-Type": "application/dns-message"}, None),
            (302, {"Location": "https://192.0.2.2/"}, b""),
            (200, {"Content-Type": "text/html"}, None),
            (200, {}, None),
            (200, {"Content-Type": "application/dns-message"}, b""),
            (200, {"Content-Type": "application/dns-message"}, b"\1" * 40),
            (200, {"Content-Type": "application/dns-message"}, b"\0" * 100_000),
        ],
    )
    def test_what_is_no_answer(
        self,
        monkeypatch: pytest.MonkeyPatch,
        httpx: Any,
        status: int,
        headers: dict[str, str],
        content: bytes | None,
    ) -> None:
        def answer(request: Any) -> Any:
            body = permits(request.content) if content is None else content
            return httpx.Response(status, headers=headers, content=body)

        assert ask_https(monkeypatch, httpx, answer).outcome is Outcome.NETWORK

    def test_a_failing_resolver_is_not_usable(
        self, monkeypatch: pytest.MonkeyPatch, httpx: Any
    ) -> None:
        def fail(request: Any) -> Any:
            content = reply(asked(request.content), rcode=dns.rcode.SERVFAIL)
            return httpx.Response(200, headers=MEDIA_TYPE, content=content)

        use_transport(monkeypatch, httpx, fail)
        assert not asyncio.run(https_at("192.0.2.1").is_usable(PATIENT))

    def test_what_its_packages_raise_is_no_answer(
        self, monkeypatch: pytest.MonkeyPatch, httpx: Any
    ) -> None:
        def fail(_request: Any) -> Any:
            raise KeyError("a fault of theirs")

        assert ask_https(monkeypatch, httpx, fail).outcome is Outcome.NETWORK

    @pytest.mark.parametrize("factory", ["https"], indirect=True)
    def test_what_was_given_up_leaves_room_for_others(self, talking: Start) -> None:
        async def some(talk: Talk, _connection: int) -> None:
            while True:
                number, query = await talk.question()
                if b"silent" not in query:
                    talk.answer(number, permits(query))

        async def scenario() -> int:
            async with talking(some, streams=3) as (resolver, server), resolver._sessions.use():
                for _ in range(4):
                    given_up = asyncio.ensure_future(resolver.lookup("silent.test", PATIENT))
                    lookup = await resolver.lookup("a.test", PATIENT)
                    assert lookup.outcome is Outcome.RECORDS
                    given_up.cancel()
                    await asyncio.wait([given_up])
                return server.connections

        assert asyncio.run(scenario()) > 1

    @pytest.mark.parametrize(
        ("variable", "value", "why"),
        [
            ("HTTPS_PROXY", "ftp://127.0.0.1:9", "Unknown scheme"),
            ("ALL_PROXY", "socks5://127.0.0.1:1080", "'socksio' package is not installed"),
            ("HTTPS_PROXY", "http://127.0.0.1:no", "Invalid port"),
        ],
    )
    @pytest.mark.usefixtures("httpx")
    def test_a_proxy_that_cannot_be_used_is_told(
        self,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        variable: str,
        value: str,
        why: str,
    ) -> None:
        monkeypatch.setitem(sys.modules, "socksio", None)
        monkeypatch.setenv(variable, value)
        resolver = https_at("192.0.2.1")
        assert not asyncio.run(resolver.is_usable(PATIENT))
        (record,) = caplog.records
        assert record.getMessage().startswith("https://192.0.2.1:443/dns-query cannot be asked: ")
        assert why in record.getMessage()
        assert look_up(resolver, "a.test").outcome is Outcome.NETWORK

    @pytest.mark.usefixtures("httpx")
    def test_a_proxy_of_the_environment_is_the_way_out(
        self, monkeypatch: pytest.MonkeyPatch, resolving: str
    ) -> None:
        asked: list[bytes] = []

        async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            far, out = await asyncio.open_connection(resolving, 443)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await asyncio.gather(copy(reader, out), copy(far, writer))

        async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(0xFFFF):
                writer.write(data)
            writer.close()

        async def scenario() -> Lookup:
            async with serving(tunnel, None) as port:
                monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
                return await https_at(resolving).lookup("example.net", PATIENT)

        assert asyncio.run(scenario()).outcome is Outcome.RECORDS
        assert asked[0].startswith(f"CONNECT {resolving}:443 ".encode())

    def test_a_client_that_cannot_be_closed(
        self, monkeypatch: pytest.MonkeyPatch, httpx: Any
    ) -> None:
        class Stuck(httpx.MockTransport):  # type: ignore[misc]
            async def aclose(self) -> None:
                raise KeyError("a fault of theirs")

        def answer(request: Any) -> Any:
            return httpx.Response(200, headers=MEDIA_TYPE, content=permits(request.content))

        client = functools.partial(httpx.AsyncClient, transport=Stuck(answer))
        monkeypatch.setattr(httpx, "AsyncClient", client)
        assert look_up(https_at("192.0.2.1"), "a.test").records == ISSUE

    @pytest.mark.usefixtures("httpx")
    def test_silence(self, pki: Pki) -> None:
        async def mute(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await reader.read()

        async def scenario() -> Lookup:
            async with serving(mute, pki) as port:
                return await https_at("127.0.0.1", port).lookup("a.test", SOON)

        # Not with silence instead of TLS: httpcore forgets a connection that is given up then.
        assert asyncio.run(scenario()).outcome is Outcome.TIMEOUT

    @pytest.mark.usefixtures("httpx")
    def test_its_packages_do_not_fill_the_log(self) -> None:
        https_at("192.0.2.1")
        for name in ("httpx", "httpcore.http2", "hpack.hpack"):
            assert not logging.getLogger(name).isEnabledFor(logging.INFO)


MEDIA_TYPE = {"Content-Type": "application/dns-message; charset=x"}


Handling = Callable[[Any], Any]


def use_transport(
    monkeypatch: pytest.MonkeyPatch, httpx: Any, answer: Callable[[Any], Any]
) -> None:
    client = functools.partial(httpx.AsyncClient, transport=httpx.MockTransport(answer))
    monkeypatch.setattr(httpx, "AsyncClient", client)


def ask_https(monkeypatch: pytest.MonkeyPatch, httpx: Any, answer: Handling) -> Lookup:
    use_transport(monkeypatch, httpx, answer)
    url = "https://192.0.2.1/dns-query"
    return look_up(encrypted.https(Spec(url, "https", "192.0.2.1", 443)), "a.test")
