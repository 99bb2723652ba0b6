"""Everything the server's use cases ask of the outside, as one frozen value; :func:`lokole.server.build.build_ports` fills it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lokole.mailbox.database import Database
from lokole.ports.blobs import BlobStore
from lokole.ports.callables import Clock, Entropy, Shrink, Tell
from lokole.ports.dns import Dns, Resolver
from lokole.ports.identity import Identity
from lokole.ports.intake import Intake
from lokole.ports.judge import Judge
from lokole.ports.mail_out import MailOut
from lokole.ports.service import Service
from lokole.ports.sign_in import SignIn
from lokole.ports.telemetry import Telemetry
from lokole.server.bell import Doorbell
from lokole.server.counting import Events
from lokole.server.settings import ServerSettings


@dataclass(frozen=True, slots=True)
class ExchangeStorage:
    """Where version 1 boxes put and fetch their packages, apart from every other store.

    ``account`` and ``key`` are what such a box is told; ``shared_container`` is the one container of a store
    in which a container cannot be made for each box, ``prepare`` makes one where it can.
    ``was_opened`` says of a key whether anybody read it since it was put, None where that cannot be seen.
    A blob's key is ``container/name``, or only ``name`` in a shared container.
    """

    blobs: BlobStore
    account: str
    key: str = field(repr=False)
    shared_container: str | None = None
    prepare: Callable[[str], None] = lambda container: None
    was_opened: Callable[[str], bool | None] = lambda key: None


@dataclass(frozen=True, slots=True)
class ServerPorts:
    """What a use case may take; ``bell`` is rung after every commit that queued work."""

    settings: ServerSettings
    database: Database
    blobs: BlobStore
    clock: Clock
    entropy: Entropy
    shrink: Shrink
    mail_out: MailOut
    dns: Dns
    intake: Intake
    identity: Identity
    resolver: Resolver
    bell: Doorbell
    exchange: ExchangeStorage | None = None
    #: those that are on, by the local part of their address
    services: Mapping[str, Service] = field(default_factory=dict)
    sign_in: SignIn | None = None
    tell: Tell | None = None
    judge: Judge | None = None
    events: Events = field(default_factory=Events)
    telemetry: Telemetry | None = None
