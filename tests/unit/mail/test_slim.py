"""Pictures made smaller: the pure function, and the process that runs it."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from lokole.adapters.shrink.subprocess import SubprocessShrink
from lokole.mail.model import Attachment, Contact, Email, PictureLimits
from lokole.mail.slim import shrink_image, slim_email
from lokole.testing import shared_dir

WEBP = PictureLimits(640, "webp")
JPEG = PictureLimits(640, "jpeg")


def picture(mode: str, size: tuple[int, int], kind: str, **options: object) -> bytes:
    """A picture with something to see on it: noise, so that it does not compress to nothing."""
    noise = Image.effect_noise(size, 60)
    image = (
        noise.convert(mode) if mode != "RGBA" else Image.merge("RGBA", [noise, noise, noise, noise.point(lambda v: v)])
    )
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def opened(result: tuple[bytes, str] | None) -> Image.Image:
    assert result is not None
    image = Image.open(io.BytesIO(result[0]))
    image.load()
    return image


def test_photo_gets_smaller_in_both_formats() -> None:
    photo = picture("RGB", (2000, 1000), "JPEG", quality=90)
    for limits, kind in ((WEBP, "WEBP"), (JPEG, "JPEG")):
        image = opened(shrink_image(photo, limits))
        assert (image.format, image.size) == (kind, (640, 320))


def test_turn_of_the_camera_is_applied_and_metadata_left_out() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right to show
    exif[0x010F] = "Camera of Amina"
    out = io.BytesIO()
    Image.effect_noise((1200, 800), 60).convert("RGB").save(out, "JPEG", exif=exif, comment=b"a secret place")
    for limits in (WEBP, JPEG):
        image = opened(shrink_image(out.getvalue(), limits))
        assert image.size == (427, 640)
        assert not image.getexif()
        assert not {"exif", "comment", "icc_profile", "xmp"} & set(image.info)


def test_transparent_picture_stays_so_in_webp_and_becomes_white_in_jpeg() -> None:
    image = Image.new("RGBA", (900, 900), (0, 0, 0, 0))
    image.paste(Image.effect_noise((900, 450), 60).convert("RGBA"), (0, 450))
    out = io.BytesIO()
    image.save(out, "PNG")
    webp = opened(shrink_image(out.getvalue(), WEBP)).convert("RGBA")
    assert webp.getpixel((10, 10))[3] == 0  # type: ignore[index]
    jpeg = opened(shrink_image(out.getvalue(), JPEG))
    red, green, blue = jpeg.getpixel((10, 10))  # type: ignore[misc]
    assert min(red, green, blue) > 245


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_every_sort_of_png_is_read(mode: str) -> None:
    if mode == "I;16":
        image = Image.new("I;16", (1000, 700), 40_000)
    else:
        image = Image.effect_noise((1000, 700), 80).convert("RGB" if mode == "P" else mode)
        image = image.convert("P") if mode == "P" else image
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=0)
    assert opened(shrink_image(out.getvalue(), WEBP)).size == (640, 448)
    assert opened(shrink_image(out.getvalue(), JPEG)).size == (640, 448)


def test_cmyk_photo_is_read() -> None:
    assert opened(shrink_image(picture("CMYK", (1000, 1000), "JPEG"), WEBP)).size == (640, 640)


def test_format_can_be_kept() -> None:
    keep = PictureLimits(320, "keep")
    assert opened(shrink_image(picture("RGB", (900, 900), "PNG"), keep)).format == "PNG"
    assert opened(shrink_image(picture("RGB", (900, 900), "JPEG"), keep)).format == "JPEG"


def test_moving_picture_stays_as_it_is() -> None:
    frames = [Image.effect_noise((700, 700), 60).convert("P") for _ in range(3)]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    assert shrink_image(out.getvalue(), WEBP) is None


def test_picture_that_would_grow_stays_as_it_is() -> None:
    out = io.BytesIO()
    Image.new("RGB", (600, 400), "white").save(out, "PNG", optimize=True)
    assert shrink_image(out.getvalue(), JPEG) is None


def png_bomb(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = zlib.compress(bytes(1 + width) * min(height, 2000))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        + chunk(b"IDAT", pixels)
    )


def test_bomb_is_not_decoded() -> None:
    assert shrink_image(png_bomb(50_000, 50_000), WEBP) is None


# --- a letter's files --------------------------------------------------------------------------------------------------

JPG = b"\xff\xd8\xff" + bytes(5000)


def letter(*files: Attachment) -> Email:
    return Email(Contact("a@example.org"), attachments=files)


def test_picture_is_replaced_and_renamed_and_keeps_its_place() -> None:
    before = letter(
        Attachment("a.pdf", b"%PDF" + bytes(5000), "application/pdf"),
        Attachment("Photo.JPG", JPG, "application/octet-stream", "cid@x"),
        Attachment("photo", JPG, "image/jpeg"),
    )
    after = slim_email(before, lambda content, limits: (b"small", "image/webp"))
    assert after.attachments == (
        before.attachments[0],
        Attachment("Photo.webp", b"small", "image/webp", "cid@x"),
        Attachment("photo.webp", b"small", "image/webp"),
    )


def test_name_is_kept_when_the_type_is() -> None:
    after = slim_email(letter(Attachment("a.jpeg", JPG)), lambda content, limits: (b"small", "image/jpeg"), JPEG)
    assert after.attachments == (Attachment("a.jpeg", b"small", "image/jpeg"),)


def test_letter_is_unchanged_where_nothing_gets_smaller() -> None:
    before = letter(
        Attachment("broken.jpg", JPG, "image/jpeg"),
        Attachment("drawing.svg", b"<svg>" + bytes(5000), "image/svg+xml"),
        Attachment("icon.jpg", JPG[:1000], "image/jpeg"),
    )
    assert slim_email(before, lambda content, limits: None) is before
    assert slim_email(before, lambda content, limits: (content + b"!", "image/webp")) is before


# --- the process -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def shrink() -> Iterator[SubprocessShrink]:
    adapter = SubprocessShrink(timeout=60)
    yield adapter
    adapter.close()


@pytest.mark.e2e
def test_process_makes_photos_smaller_and_serves_again(shrink: SubprocessShrink) -> None:
    photo = picture("RGB", (1500, 1500), "JPEG", quality=90)
    first = shrink(photo, WEBP)
    assert opened(first).size == (640, 640)
    assert shrink(photo, WEBP) == first
    assert opened(shrink(photo, JPEG)).format == "JPEG"


@pytest.mark.e2e
@pytest.mark.parametrize(
    "content", [b"", b"no picture", JPG, png_bomb(50_000, 50_000), b"<svg/>", picture("L", (700, 700), "PNG")[:2000]]
)
def test_what_is_no_picture_stays_and_the_next_one_is_served(shrink: SubprocessShrink, content: bytes) -> None:
    assert shrink(content, WEBP) is None
    assert opened(shrink(picture("RGB", (900, 900), "PNG"), WEBP)).size == (640, 640)


@pytest.mark.e2e
def test_process_without_memory_costs_one_picture() -> None:
    adapter = SubprocessShrink(max_memory_mb=70, timeout=60)
    try:
        assert adapter(picture("RGBA", (3000, 3000), "PNG", compress_level=1), WEBP) is None
    finally:
        adapter.close()


@pytest.mark.e2e
def test_process_that_hangs_is_killed() -> None:
    adapter = SubprocessShrink(timeout=0.01)
    try:
        assert adapter(picture("RGB", (3000, 3000), "PNG", compress_level=1), WEBP) is None
    finally:
        adapter.close()


@pytest.mark.e2e
def test_killed_process_is_replaced(shrink: SubprocessShrink) -> None:
    photo = picture("RGB", (900, 900), "PNG")
    assert shrink(photo, WEBP)
    child = shrink._child
    assert child is not None
    child.kill()
    child.wait()
    assert shrink(photo, WEBP)


@pytest.mark.e2e
def test_process_ends_when_idle_and_starts_again() -> None:
    adapter = SubprocessShrink(idle_seconds=1, timeout=60)
    try:
        photo = picture("RGB", (900, 900), "PNG")
        assert adapter(photo, WEBP)
        child = adapter._child
        assert child is not None
        assert child.wait(timeout=30) == 0
        assert adapter(photo, WEBP)
    finally:
        adapter.close()


@pytest.mark.e2e
def test_fresh_process_takes_over_after_its_share() -> None:
    adapter = SubprocessShrink(max_pictures=1, timeout=60)
    try:
        photo = picture("RGB", (900, 900), "PNG")
        assert adapter(photo, WEBP)
        first = adapter._child
        assert adapter(photo, WEBP)
        assert first is not None and adapter._child is not None
        assert adapter._child.pid != first.pid
    finally:
        adapter.close()


@pytest.mark.e2e
def test_threads_wait_for_each_other(shrink: SubprocessShrink) -> None:
    photo = picture("RGB", (1000, 1000), "PNG")
    results: list[tuple[bytes, str] | None] = []
    threads = [threading.Thread(target=lambda: results.append(shrink(photo, WEBP))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(results)) == 1 and results[0] is not None and len(results) == 6


@pytest.mark.e2e
def test_process_sees_no_secret_of_ours(shrink: SubprocessShrink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOKOLE_SESSION_KEY", "canary-of-the-environment")
    assert shrink(picture("RGB", (900, 900), "PNG"), WEBP)
    child = shrink._child
    assert child is not None
    assert b"canary" not in Path(f"/proc/{child.pid}/environ").read_bytes()


@pytest.mark.e2e
def test_process_ends_with_its_input() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lokole.adapters.shrink.child", "384", "10", "60"],
        input=b"",
        capture_output=True,
        timeout=60,
        env=dict(os.environ),
    )
    assert (done.returncode, done.stdout) == (0, b"")


@pytest.mark.e2e
def test_real_photos_get_light(shrink: SubprocessShrink) -> None:
    shared = shared_dir()
    if shared is None:
        pytest.skip("the shared data is not here; the pictures above are made by the tests")
    photos = sorted((shared / "mail" / "attachments").glob("*.jpg"))
    assert len(photos) == 7
    for photo in photos:
        content = photo.read_bytes()
        image = opened(shrink(content, WEBP))
        assert max(image.size) <= 640
        assert not image.getexif()
