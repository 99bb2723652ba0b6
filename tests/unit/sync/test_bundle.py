from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from lokole.mail.errors import BadPackage
from lokole.sync.bundle import (
    BUNDLE_EXTENSION,
    CONTENT_TYPE,
    MAX_MEMBERS,
    MAX_PACKAGE_BYTES,
    Bundle,
    bundle_chunks,
    packages_in,
)
from tests.unit.sync.sealed_samples import sealed

PROTOCOL = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text(encoding="utf-8")
PACKAGES = [sealed(b"one"), sealed(b"two" * 50_000, random=bytes(32)), sealed(b"", random=b"\7" * 32)]


def name(package: bytes) -> str:
    return hashlib.sha256(package).hexdigest()


def bundle(*packages: bytes) -> bytes:
    return b"".join(bundle_chunks((name(one), len(one), [one[:100], one[100:]]) for one in packages))


def read(data: bytes, max_bytes: int = MAX_PACKAGE_BYTES) -> list[bytes]:
    return [package.read() for package in packages_in(io.BytesIO(data), max_bytes=max_bytes)]


def test_what_goes_into_a_bundle_comes_out() -> None:
    assert read(bundle(*PACKAGES)) == PACKAGES
    assert read(bundle()) == []
    assert bundle(*PACKAGES) == bundle(*PACKAGES)


def test_any_tool_reads_a_bundle_and_any_tool_makes_one() -> None:
    with tarfile.open(fileobj=io.BytesIO(bundle(*PACKAGES))) as archive:
        assert archive.getnames() == [f"{name(one)}.lkl" for one in PACKAGES]
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path, content in (("folder/../x.lkl", PACKAGES[0]), ("note.txt", b"hello"), ("/y.lkl", PACKAGES[1])):
            info = tarfile.TarInfo(path)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("link.lkl")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    assert read(made.getvalue()) == PACKAGES[:2]


def test_a_single_package_passes_for_a_bundle() -> None:
    for one in PACKAGES:
        assert read(one) == [one]


def test_each_package_can_be_sought_in() -> None:
    for package in packages_in(io.BytesIO(bundle(*PACKAGES))):
        first = package.read()
        package.seek(0)
        assert package.read() == first


def test_a_bundle_that_breaks_off_gives_its_whole_packages() -> None:
    data = bundle(*PACKAGES)
    for size in range(512, len(data) - 10_240, 511):
        found = []
        with pytest.raises(BadPackage):
            for package in packages_in(io.BytesIO(data[:size])):
                found.append(package.read())
        assert found == PACKAGES[: len(found)]


def test_a_package_that_is_too_long_ends_the_bundle() -> None:
    with pytest.raises(BadPackage) as error:
        read(bundle(*PACKAGES), max_bytes=1000)
    assert error.value.code == "too-large"


def test_what_is_no_bundle_is_refused() -> None:
    for data in (b"", b"LK", b"x" * 600, b"PK\3\4" + bytes(600)):
        with pytest.raises(BadPackage):
            read(data)


def test_a_package_of_another_length_than_said_is_a_mistake_here() -> None:
    with pytest.raises(ValueError, match="long"):
        list(bundle_chunks([("00", 5, [b"1234"])]))


def test_the_protocol_names_the_type_and_the_end_of_the_name() -> None:
    assert CONTENT_TYPE in PROTOCOL
    assert f"`{BUNDLE_EXTENSION}`" in PROTOCOL


def test_a_bundle_says_how_long_it_is() -> None:
    for count in range(4):
        made = Bundle([(name(one), len(one), [one]) for one in PACKAGES[:count]])
        assert made.size == len(b"".join(made))


def test_a_bundle_keeps_to_what_the_other_end_takes() -> None:
    """The last package says what was taken here, so it always goes; then the oldest."""
    packages = [(str(n), size, [bytes(size)]) for n, size in enumerate((100, 5_000, 100, 200))]
    chosen = {
        limit: [package[0] for package in Bundle.fitting(packages, max_bytes=limit).packages]
        for limit in (0, 12_288, 18_000, 30_000)
    }
    assert chosen == {0: ["3"], 12_288: ["0", "3"], 18_000: ["0", "1", "3"], 30_000: ["0", "1", "2", "3"]}
    for limit in (18_000, 30_000):
        assert Bundle.fitting(packages, max_bytes=limit).size <= limit
    assert Bundle.fitting([]).packages == ()
    many = Bundle.fitting([(str(n), 1, [b"x"]) for n in range(MAX_MEMBERS + 5)]).packages
    assert (len(many), many[-1][0]) == (MAX_MEMBERS, str(MAX_MEMBERS + 4))
