"""Packages as boxes and the server of the first Lokole write them, made without any code of this project.

Run ``python tests/golden/make_version1.py`` to make ``tests/golden/version1/`` anew; the files are committed and read by
``tests/unit/sync/test_golden.py``. What is imitated, and where it was seen, stands in ``tests/golden/README.md``.
Needs a Zstandard library: ``compression.zstd`` (Python 3.14) or ``backports.zstd``.
"""

import base64
import gzip
import io
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Record = dict[str, Any]

HERE = Path(__file__).parent / "version1"
MTIME = 1577880000.25  # a fraction of a second makes the tar writer add a pax header, as theirs has
PHOTO = bytes(range(256)) * 8


def line(record: Record) -> bytes:
    """Sorted keys, compact, ASCII; null keys and empty lists of the record itself are dropped."""
    kept = {key: value for key, value in record.items() if value is not None and value != []}
    return json.dumps(kept, sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"


def archive(members: list[tuple[str, bytes]]) -> bytes:
    """A tar archive written as a stream, pax format."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mtime = MTIME
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def compressed(data: bytes, level: int) -> bytes:
    """One zstd frame without checksum and without content size."""
    frame = zstd.ZstdCompressor(level=level)
    made: bytes = frame.compress(data) + frame.flush()
    return made


UPLOADED: list[Record] = [
    {
        "_uid": "5b1d4e9e-6a55-4c21-9c36-0a7d3dc9f0a1",
        "attachments": [
            {"cid": None, "content": base64.b64encode(PHOTO).decode(), "filename": "photo \u00e9t\u00e9.jpg"}
        ],
        "bcc": ["secret@example.org"],
        "body": "<p>Mbote na yo, \u00e7a va\u00a0? \U0001f600</p>",
        "cc": ["cc@example.org"],
        "from": "ann@village.lokole.ca",
        "subject": "R\u00e9colte",
        "to": ["bob@example.com", "carol@example.com"],
    },
    {
        "_uid": "0f1f2c44-8f3f-4f0b-8c51-5d4b7f5f7e02",
        "attachments": [],
        "bcc": None,
        "body": "<div>a &lt; b</div>",
        "cc": [],
        "from": "joe@village.lokole.ca",
        "subject": "",
        "to": ["bob@example.com"],
    },
]
USERS: list[Record] = [
    {"email": "ann@village.lokole.ca", "password": "$2b$12$abcdefghijklmnopqrstuuJbXzq0nQ8vY0Yq3yQnS3wHn1QbQ0m2W"},
    {"email": "joe@village.lokole.ca", "password": None},
]
DOWNLOADED: list[Record] = [
    {
        "sent_at": "2019-12-31 23:59",
        "to": ["ann@village.lokole.ca"],
        "cc": [],
        "bcc": [],
        "from": "bob@example.com",
        "subject": "Re: R\u00e9colte",
        "body": "<p>Bien re\u00e7u</p>",
        "attachments": [
            {"filename": "a.txt", "content": "aGVsbG8="},
            {"filename": "b.png", "content": "iVBORw==", "cid": "img1@example.com"},
        ],
        "_uid": "c2f8a5d2c1f04c6db0f6d9d3a6a1f5b1f5dbd6c5f5f8f9d7d1f5a6a1f5b1f5db",
    },
    {
        "sent_at": "2020-01-02 03:04",
        "to": [],
        "cc": ["ann@village.lokole.ca"],
        "bcc": [],
        "from": "news@example.com",
        "subject": "",
        "body": "",
        "attachments": [],
        "_uid": "9e107d9d372bb6826bd81d3542a419d6",
    },
]


def as_server(record: Record) -> bytes:
    """The server kept the empty lists."""
    return json.dumps(record, separators=(",", ":")).encode("ascii") + b"\n"


def main(folder: Path = HERE) -> None:
    folder.mkdir(exist_ok=True)
    emails = b"".join(map(line, UPLOADED))
    users = b"".join(map(line, USERS))
    downloaded = b"".join(map(as_server, DOWNLOADED))
    parted = [{key: value for key, value in record.items() if key != "attachments"} for record in DOWNLOADED]
    files: list[Record] = [
        {"_uid": "f1", "filename": "a.txt", "content": "aGVsbG8=", "cid": None, "emails": [DOWNLOADED[0]["_uid"]]},
        {
            "_uid": "f2",
            "filename": "b.png",
            "content": "iVBORw==",
            "cid": "img1@example.com",
            "emails": [DOWNLOADED[0]["_uid"]],
        },
    ]
    packages = {
        "client-upload.tar.zstd": compressed(archive([("emails.jsonl", emails), ("zzusers.jsonl", users)]), 3),
        "client-upload-empty-users.tar.zstd": compressed(
            archive([("emails.jsonl", emails), ("zzusers.jsonl", b"")]), 3
        ),
        "client-upload-no-users.tar.gz": gzip.compress(archive([("emails.jsonl", emails)]), mtime=0),
        "server-download.tar.zstd": compressed(archive([("emails.jsonl", downloaded)]), 20),
        "server-download-attachments.tar.gz": gzip.compress(
            archive(
                [
                    ("emails.jsonl", b"".join(map(as_server, parted))),
                    ("zattachments.jsonl", b"".join(map(as_server, files))),
                    ("another.txt", b"an older or newer Lokole may put something here\n"),
                ]
            ),
            mtime=0,
        ),
    }
    for name, content in packages.items():
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
