"""What every store of blobs promises, over each of them; and what only the folder has to show."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from lokole.adapters.blobs.folder import FolderBlobStore
from lokole.adapters.blobs.open import open_blobs
from lokole.mail.errors import NotFound, Refused, Temporary
from lokole.ports.blobs import BlobStore
from lokole.server.drivers import open_store
from tests.servers import S3, Azurite
from tests.servers_mail import cannot_start, free_port

_CONTAINERS = count(1)


@pytest.fixture(params=["memory", "folder", "azurite", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    if request.param == "memory":
        return open_blobs("memory:")
    if request.param == "folder":
        return open_blobs(f"folder://{tmp_path}/blobs")
    name = f"contract-{os.getpid()}-{next(_CONTAINERS)}"
    if request.param == "s3":
        bucket: S3 = request.getfixturevalue("s3_server")
        return open_store(bucket.new_bucket(name), bucket.key)
    server: Azurite = request.getfixturevalue("azurite_server")
    return open_store(server.new_container(name), server.account_key)


class TestBlobStore:
    def test_what_was_put_is_read_back(self, blobs: BlobStore) -> None:
        for key, content in (("a/b", b"hello"), ("a.b-C_9/x/y.z", b"\x00\xff" * 500), ("empty", b"")):
            assert blobs.put(key, content) is True
            assert blobs.read(key) == content
            assert blobs.size(key) == len(content)
            with blobs.open(key) as stream:
                assert stream.read() == content

    def test_a_key_is_written_once(self, blobs: BlobStore) -> None:
        assert blobs.put("k", b"first")
        assert blobs.put("k", b"second") is False
        assert blobs.put("k", iter([b"third"])) is False
        assert blobs.read("k") == b"first"

    def test_content_may_come_in_pieces_and_be_long(self, blobs: BlobStore) -> None:
        piece = bytes(range(256)) * 4096
        assert blobs.put("long", (piece for _ in range(19)))
        assert blobs.size("long") == 19 * len(piece)
        assert blobs.put("long", (b"other" * 1_000_000 for _ in range(9))) is False
        with blobs.open("long") as stream:
            assert stream.read(10) == piece[:10]
            rest = stream.read()
        assert len(rest) == 19 * len(piece) - 10 and rest.endswith(piece)

    @pytest.mark.parametrize(
        ("start", "length", "expected"),
        [
            (0, None, b"0123456789"),
            (3, None, b"3456789"),
            (3, 4, b"3456"),
            (8, 100, b"89"),
            (10, None, b""),
            (10, 5, b""),
            (99, 1, b""),
            (0, 0, b""),
        ],
    )
    def test_a_range_is_read(self, blobs: BlobStore, start: int, length: int | None, expected: bytes) -> None:
        blobs.put("digits", b"0123456789")
        assert blobs.read("digits", start, length) == expected

    def test_what_is_not_there_is_not_found(self, blobs: BlobStore) -> None:
        blobs.put("there/inside", b"x")
        for key in ("missing", "there", "there/inside/deeper", "a/b/c"):
            with pytest.raises(NotFound):
                blobs.read(key)
            with pytest.raises(NotFound):
                blobs.read(key, 1, 1)
            with pytest.raises(NotFound):
                blobs.open(key)
            with pytest.raises(NotFound):
                blobs.size(key)

    def test_what_is_deleted_is_gone_and_may_be_deleted_again(self, blobs: BlobStore) -> None:
        blobs.put("k", b"x")
        blobs.delete("k")
        blobs.delete("k")
        blobs.delete("never/there")
        with pytest.raises(NotFound):
            blobs.read("k")
        assert blobs.put("k", b"again")

    def test_keys_are_listed_by_the_beginning_of_their_text(self, blobs: BlobStore) -> None:
        keys = ["a", "a.x/1", "a.x/2", "a.x/20", "a.xy/3", "b/c/d", "b/c1"]
        for key in keys:
            blobs.put(key, b"")
        assert list(blobs.list()) == sorted(keys)
        assert list(blobs.list("a.x/")) == ["a.x/1", "a.x/2", "a.x/20"]
        assert list(blobs.list("a.x/2")) == ["a.x/2", "a.x/20"]
        assert list(blobs.list("b/c")) == ["b/c/d", "b/c1"]
        assert list(blobs.list("nothing")) == list(blobs.list("no/thing")) == []

    @pytest.mark.parametrize(
        "key",
        ["", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", "a b", "é", "a\\b", "a\x00", "a\n", "a" * 999, "~/a", "a?b", "a%2e"],
    )  # fmt: skip
    def test_a_key_that_could_lead_elsewhere_is_refused(self, blobs: BlobStore, key: str) -> None:
        with pytest.raises(Refused):
            blobs.put(key, b"x")
        for ask in (blobs.read, blobs.open, blobs.size, blobs.delete):
            with pytest.raises(Refused):
                ask(key)

    def test_odd_prefixes_list_nothing(self, blobs: BlobStore) -> None:
        blobs.put("a/b", b"")
        for prefix in ("../", "/", "a/../", "\x00", "é/"):
            assert list(blobs.list(prefix)) == []

    def test_one_of_many_writers_creates(self, blobs: BlobStore) -> None:
        start = threading.Barrier(6)

        def put(number: int) -> bool:
            start.wait()
            return blobs.put("shared/key", bytes([number]) * 5000)

        with ThreadPoolExecutor(6) as pool:
            created = list(pool.map(put, range(6)))
        assert created.count(True) == 1
        assert blobs.read("shared/key") == bytes([created.index(True)]) * 5000

    def test_a_source_that_breaks_leaves_nothing(self, blobs: BlobStore) -> None:
        def breaking() -> Iterator[bytes]:
            yield b"beginning"
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            blobs.put("half", breaking())
        assert list(blobs.list()) == []
        assert blobs.put("half", b"whole")


@pytest.mark.parametrize(("url", "key"), [("azure://account/container", "a2V5"), ("s3://bucket", "a-name:a-secret")])
def test_a_store_out_of_reach_is_temporary(url: str, key: str) -> None:
    pytest.importorskip("obstore")
    blobs = open_store(f"{url}?endpoint=http://127.0.0.1:{free_port()}", key)
    with pytest.raises(Temporary):
        blobs.size("a/b")


@pytest.mark.parametrize(
    "url",
    ["", "/var/lib", "folder:relative", "folder://host/path", "ftp://x/y", "azure://account", "azure://a/b/c", "s3://", "s3://bucket?colour=red"],
)  # fmt: skip
def test_a_url_that_names_no_store_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(Refused) as refusal:
        open_blobs(url)
    assert refusal.value.code == "setting" and "cannot be opened" in str(refusal.value)


def test_buckets_are_opened_without_asking_anybody() -> None:
    pytest.importorskip("obstore")
    for url in ("s3://bucket/prefix?endpoint=http://127.0.0.1:9&region=eu-west-1", "azure://account/container"):
        assert open_blobs(url, {"account_key": "a2V5", "access_key_id": "a", "secret_access_key": "b"}) is not None


def test_the_box_needs_no_object_store_library() -> None:
    code = "import sys, lokole.adapters.blobs.open as o; o.open_blobs('memory:'); sys.exit('obstore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestFolder:
    def test_what_an_interrupted_write_left_is_swept_and_never_listed(self, tmp_path: Path) -> None:
        blobs = FolderBlobStore(tmp_path / "blobs")
        blobs.put("a/b", b"x")
        (tmp_path / "blobs/a/.new-0123456789abcdef").write_bytes(b"half")
        assert list(blobs.list()) == ["a/b"]
        with pytest.raises(NotFound):
            blobs.read("a/.new-0123456789abcdef")
        assert blobs.sweep() == 1
        assert sorted(path.name for path in (tmp_path / "blobs/a").iterdir()) == ["b"]

    def test_others_on_the_machine_cannot_look_in(self, tmp_path: Path) -> None:
        FolderBlobStore(tmp_path / "blobs").put("a/b", b"x")
        for folder in ("blobs", "blobs/a"):
            assert (tmp_path / folder).stat().st_mode & 0o077 == 0

    def test_a_full_disk_is_temporary_and_leaves_nothing(self, tmp_path: Path) -> None:
        """A file size limit stands in for the full disk: the write fails half-way with an error of the system."""
        code = """
import resource, signal, sys
from pathlib import Path
from lokole.adapters.blobs.folder import FolderBlobStore
from lokole.mail.errors import Temporary
blobs = FolderBlobStore(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    blobs.put("a/big", (b"x" * 10_000 for _ in range(20)))
except Temporary as error:
    print(error, list(blobs.list()), blobs.put("a/small", b"y"))
"""
        root = tmp_path / "blobs"
        done = subprocess.run([sys.executable, "-c", code, root], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "the folder of blobs did not take it: EFBIG [] True"
        assert [path.name for path in root.rglob("*") if path.is_file()] == ["small"]

    def test_a_file_in_the_way_of_a_folder_is_temporary(self, tmp_path: Path) -> None:
        blobs = FolderBlobStore(tmp_path / "blobs")
        blobs.put("a", b"x")
        with pytest.raises(Temporary):
            blobs.put("a/b", b"y")

    def test_content_is_on_the_disk_before_its_name_and_the_name_before_the_answer(self, tmp_path: Path) -> None:
        strace = shutil.which("strace")
        if strace is None:
            cannot_start("strace is not installed here (`make setup-test` installs it).")
        code = """
import os, sys
from pathlib import Path
from lokole.adapters.blobs.folder import FolderBlobStore
FolderBlobStore(Path(sys.argv[1])).put("tenant/sub/key", b"content")
os.stat("/answered")
"""
        log, root = tmp_path / "calls", tmp_path / "blobs"
        subprocess.run(
            [strace, "-y", "-e", "trace=fsync,link,linkat,mkdir,mkdirat,stat,newfstatat", "-o", log, sys.executable, "-c", code, root],
            check=False,
            capture_output=True,
        )  # fmt: skip
        calls = []
        for line in log.read_text().splitlines():
            if (match := re.match(r"fsync\(\d+<([^>]*)>", line)) is not None:
                calls.append("flush " + re.sub(r"\.new-\w+", "NEW", match[1].removeprefix(str(tmp_path))))
            elif (match := re.match(r"mkdir(?:at)?\(.*?\"([^\"]*)\"", line)) is not None:
                calls.append("make " + match[1].removeprefix(str(tmp_path)))
            elif line.startswith("link"):
                calls.append("name")
            elif "/answered" in line:
                calls.append("answer")
        if "name" not in calls:
            cannot_start("strace may not watch processes here.")
        assert calls == [
            "make /blobs",
            "flush ",
            "make /blobs/tenant",
            "flush /blobs",
            "make /blobs/tenant/sub",
            "flush /blobs/tenant",
            "flush /blobs/tenant/sub/NEW",
            "name",
            "flush /blobs/tenant/sub",
            "answer",
        ]
