"""A box as far as a server can tell: a key of its own, its packages and its visits, without the pages and the mailbox of a real one.

It speaks the protocol through the adapter that a real box uses; so a thousand of them fit into one process.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field

from lokole.adapters.sync_peer.http import HttpSyncPeer, claim
from lokole.mail.model import DeviceId, PackageRef
from lokole.sync.container import CONTENT_TYPE, Header, PayloadKind
from lokole.sync.records import AnyRecord, EmailRecord
from lokole.sync.sealed import read_sealed, write_sealed
from lokole.sync.signing import new_key, public_key


@dataclass
class LightBox:
    """One box; never in two visits at once."""

    url: str
    domain: str
    device_id: DeviceId
    seed: bytes
    server_key: bytes
    epoch: int = 7
    seq: int = 0
    counted: int = 0
    #: of each epoch of the server what was taken home
    taken: dict[int, set[int]] = field(default_factory=dict)

    @classmethod
    def claimed(cls, url: str, code: str) -> LightBox:
        """A new box takes the place that waits under ``code``."""
        seed = new_key(os.urandom)
        device_id, domain, server_key = claim(url, code=code, public_key=public_key(seed))
        assert server_key is not None
        return cls(url, domain, device_id, seed, server_key)

    # --- the counter of signed requests ---

    def next(self) -> int:
        self.counted += 1
        return self.counted

    def jump(self, at_least: int) -> None:
        self.counted = max(self.counted, at_least)

    # --- a visit ---

    def packed(self, records: Sequence[AnyRecord]) -> tuple[int, bytes]:
        """A sealed package under the next number, and the number."""
        self.seq += 1
        header = Header("up", self.domain, str(self.device_id), self.epoch, self.seq, PayloadKind.ZSTD)
        out = io.BytesIO()
        write_sealed(out, header, records, sender_seed=self.seed, recipient_public=self.server_key, entropy=os.urandom)
        return self.seq, out.getvalue()

    def visit(self, records: Sequence[AnyRecord]) -> int:
        """Hand ``records`` over, take home and acknowledge all that waits; returns how many letters came. Raises what a real box's peer raises."""
        seq, package = self.packed(records)
        came = 0
        with closing(HttpSyncPeer(self.url, device_id=self.device_id, seed=self.seed, counter=self)) as peer:
            ref = PackageRef(hashlib.sha256(package).hexdigest())
            content = io.BytesIO(package)
            peer.upload(ref, epoch=self.epoch, seq=seq, type=CONTENT_TYPE, size=len(package), content=content)
            for offered in peer.offers(after=0):
                whole = io.BytesIO(b"".join(peer.download(offered)))
                opened = read_sealed(whole, recipient_seed=self.seed, sender_public=lambda _header: self.server_key)
                came += sum(isinstance(record, EmailRecord) for record in opened.records)
                taken = self.taken.setdefault(offered.epoch, set())
                taken.add(offered.seq)
                peer.acknowledge(epoch=offered.epoch, seq=0, beyond=sorted(taken))
        return came
