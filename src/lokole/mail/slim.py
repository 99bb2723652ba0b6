"""Makes a letter light enough for a line that costs money by the kilobyte: its pictures get smaller.

``shrink_image`` is a pure function over bytes, but the codecs under it are not to be trusted with bytes from strangers:
it is run in a limited process of its own (``adapters/shrink``) and may raise, hang or kill there.
``slim_email`` decides which files of a letter are pictures and what becomes of them.

Left as they are: moving pictures, drawings (SVG), formats that the codecs do not know (HEIC), broken files, small icons.
Nothing is ever dropped, and no remote picture is fetched.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from lokole.mail.filenames import extension_of
from lokole.mail.model import Attachment, Email, PictureLimits

if TYPE_CHECKING:
    from PIL import Image

#: what every codec may decode, in pixels: a 24 megapixel picture takes about 100 MB as RGBA.
MAX_PIXELS = 24_000_000
#: JPEG is decoded at an eighth, a quarter or half of its size, so the photo of any telephone of today fits.
MAX_JPEG_PIXELS = 64_000_000
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")
_TYPES = {"JPEG": "image/jpeg", "WEBP": "image/webp", "PNG": "image/png"}
_MIN_BYTES = 2_000
_WEBP_QUALITY = 45
_JPEG_QUALITY = 55
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\x00", b"MM\x00*", b"RIFF")
#: so much of a file says whether it may be a picture
SIGNATURE_BYTES = max(len(one) for one in _SIGNATURES)


def shrink_image(content: bytes, limits: PictureLimits) -> tuple[bytes, str] | None:
    """The picture with its longest side at most ``limits.longest_side`` pixels and its media type, or None when it stays as it is.

    ``limits.format``: ``webp``, ``jpeg`` (transparent parts become white) or ``keep`` (JPEG, WebP and PNG stay what they are).
    The turn that EXIF asks for is applied, then all metadata (place, camera, owner) is left out.
    None also when the result would not be smaller. Raises whatever the codec raises.
    """
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = None  # the limits are ours, below, before anything is decoded
    with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
        photo = image.format in ("JPEG", "MPO")
        width, height = image.size
        if width * height > (MAX_JPEG_PIXELS if photo else MAX_PIXELS) or min(width, height) < 1:
            return None
        # An MPO is a photo with a second one for depth; anything else with frames moves.
        if not photo and getattr(image, "is_animated", False):
            return None
        kept = image.format if image.format in _TYPES else "JPEG" if photo else "PNG"
        target = {"webp": "WEBP", "jpeg": "JPEG"}.get(limits.format, kept)
        side = limits.longest_side
        if photo:
            image.draft("RGB", (side * 2, side * 2))
        # Smaller first: turning and converting a copy of the whole picture would take twice the memory.
        small = image if image.mode in ("RGB", "RGBA", "L", "LA", "CMYK") else _plain_mode(image, opaque=False)
        small.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
        small = _plain_mode(ImageOps.exif_transpose(small), opaque=target == "JPEG")
        out = io.BytesIO()
        if target == "WEBP":
            small.save(out, "WEBP", quality=_WEBP_QUALITY, method=4)
        elif target == "JPEG":
            small.save(out, "JPEG", quality=_JPEG_QUALITY, optimize=True, progressive=True)
        else:
            small.save(out, "PNG", optimize=True)
    result = out.getvalue()
    return (result, _TYPES[target]) if len(result) < len(content) else None


def _plain_mode(image: Image.Image, *, opaque: bool) -> Image.Image:
    """``image`` as RGB, or RGBA where it is transparent and may stay so, without any metadata."""
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits of grey: scaled, a plain conversion would cut it off
        image = image.point(lambda value: value / 256).convert("L")
    transparent = image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info
    if not transparent:
        plain = image.convert("RGB")
    elif opaque:
        layer = image.convert("RGBA")
        plain = Image.new("RGB", layer.size, "white")
        plain.paste(layer, mask=layer.getchannel("A"))
    else:
        plain = image.convert("RGBA")
    plain.info = {}
    return plain


def may_shrink(head: bytes) -> bool:
    """Whether a file that begins with ``head`` looks like a picture of a kind that can be made smaller."""
    return head.startswith(_SIGNATURES)


def slim_email(
    email: Email,
    shrink: Callable[[bytes, PictureLimits], tuple[bytes, str] | None],
    limits: PictureLimits | None = None,
) -> Email:
    """``email`` with each picture as ``shrink`` made it, where that is smaller; its name gets the extension of the new type.

    A file that cannot be opened travels unchanged.
    """
    limits = limits or PictureLimits()
    files = tuple(_slim(file, shrink, limits) for file in email.attachments)
    return email if files == email.attachments else replace(email, attachments=files)


def _slim(
    file: Attachment,
    shrink: Callable[[bytes, PictureLimits], tuple[bytes, str] | None],
    limits: PictureLimits,
) -> Attachment:
    # The bytes decide: many programs send photos as application/octet-stream, and some other things as image/jpeg.
    if len(file.content) < _MIN_BYTES or not may_shrink(file.content):
        return file
    result = shrink(file.content, limits)
    if result is None or len(result[0]) >= len(file.content):
        return file
    content, media_type = result
    return replace(file, content=content, type=media_type, filename=_renamed(file.filename, media_type))


def _renamed(filename: str, media_type: str) -> str:
    extension = extension_of(media_type)
    stem, dot, old = filename.rpartition(".")
    if f".{old.lower()}" == extension or (extension == ".jpg" and old.lower() == "jpeg"):
        return filename
    return f"{stem if dot and len(old) <= 5 else filename}{extension}"
