"""The lab's vendors over TLS on loopback: for other processes, the executor among them."""

import datetime as dt
import ipaddress
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import anyio.to_thread
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ...knowledge.errors import ConfigurationError, StorageError
from .apps import on_one_port
from .connect import settings_of
from .folder import LabFolder, open_world

HOST = "127.0.0.1"
_START_WITHIN = 20.0
_LIFE = dt.timedelta(days=30)

Described = Mapping[str, Any]
"""`{"vendors": {name: {setting: value}}, "ca_file": path}`."""


def serve(lab: LabFolder, *, port: int = 0, real_time: bool = False, delay_ms: int = 0, as_json: bool = False) -> None:
    """Serve until interrupted; first write what clients need to standard output.

    Raises:
        ConfigurationError: the port cannot be opened.
    """
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with running(lab, port=port, real_time=real_time, delay_ms=delay_ms) as described:
        text = json.dumps(described) if as_json else _for_people(described)
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
        while not stop.wait(0.5):
            pass


@asynccontextmanager
async def serving(
    lab: LabFolder, *, port: int = 0, real_time: bool = False, delay_ms: int = 0
) -> AsyncIterator[Described]:
    """Serve while the block runs, from a thread of its own; see `running`."""
    server = running(lab, port=port, real_time=real_time, delay_ms=delay_ms)
    described = await anyio.to_thread.run_sync(server.__enter__)
    try:
        yield described
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(server.__exit__, None, None, None)


@contextmanager
def running(lab: LabFolder, *, port: int = 0, real_time: bool = False, delay_ms: int = 0) -> Iterator[Described]:
    """Serve while the block runs.

    Without `real_time` a call that comes too early for a rate limit is answered as if its caller had waited.

    Args:
        lab: whose vendors.
        port: on 127.0.0.1; 0 takes a free one.
        real_time: rate limits, tokens and containment run on the wall's clock.
        delay_ms: added to every answer.

    Raises:
        ConfigurationError: the port cannot be opened.
        StorageError: the lab's files cannot be opened.
    """
    listener = _listen(port)
    world = open_world(lab, remote=True, real_time=real_time, delay=delay_ms / 1000)
    try:
        with TemporaryDirectory(prefix="tracehound-lab-") as folder:
            authority, certificate, key = _certificates(Path(folder))
            config = uvicorn.Config(
                on_one_port(world),
                ssl_certfile=str(certificate),
                ssl_keyfile=str(key),
                log_config=None,
                access_log=False,
                loop="asyncio",
                lifespan="off",
                ws="none",
                timeout_graceful_shutdown=2,
            )
            address = f"https://{HOST}:{listener.getsockname()[1]}"
            vendors = settings_of(world.state, address, unhurried=not real_time)
            with _in_a_thread(uvicorn.Server(config), listener):
                yield {"vendors": vendors, "ca_file": str(authority)}
    finally:
        listener.close()
        world.close()


@contextmanager
def _in_a_thread(server: uvicorn.Server, listener: socket.socket) -> Iterator[None]:
    thread = threading.Thread(target=server.run, args=([listener],), name="lab-vendors", daemon=True)
    thread.start()
    give_up = time.monotonic() + _START_WITHIN
    while not server.started:
        if not thread.is_alive() or time.monotonic() > give_up:
            raise ConfigurationError("the lab's servers did not start; see the messages above")
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(_START_WITHIN)


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    if os.name == "posix":  # elsewhere the option lets two processes share a port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as exc:
        listener.close()
        raise ConfigurationError(f"port {port} of {HOST} cannot be opened: {exc.strerror or exc}") from exc
    return listener


def _for_people(described: Described) -> str:
    vendors: Mapping[str, Mapping[str, str]] = described["vendors"]
    addresses = sorted({values["base_url"] for values in vendors.values()})
    return (
        f"the lab's vendors are served at {', '.join(addresses)} (authority: {described['ca_file']}); "
        "stop with Ctrl-C; `--json` prints every setting"
    )


def _certificates(folder: Path) -> tuple[Path, Path, Path]:
    """An authority of its own, and a certificate for loopback signed by it: PEM files of authority, server, key.

    Raises:
        StorageError: they cannot be written.
    """
    now = dt.datetime.now(dt.UTC)
    authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tracehound lab authority")])
    authority = (
        _draft(name, name, authority_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .add_extension(_usage(signs=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    places = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(HOST))]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    server = (
        _draft(name, subject, server_key.public_key(), now)
        .add_extension(x509.SubjectAlternativeName(places), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    secret = server_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    files = {
        folder / "authority.pem": authority.public_bytes(serialization.Encoding.PEM),
        folder / "server.pem": server.public_bytes(serialization.Encoding.PEM),
        folder / "server.key": secret,
    }
    try:
        for path, content in files.items():
            path.write_bytes(content)
    except OSError as exc:
        raise StorageError(f"the lab's certificates cannot be written to {folder}: {exc.strerror or exc}") from exc
    first, second, third = files
    return first, second, third


def _draft(
    issuer: x509.Name, subject: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + _LIFE)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
