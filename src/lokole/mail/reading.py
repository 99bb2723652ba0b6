"""Which part of a message is its body and which are its files, and what they hold.

Every part is one or the other; only the other wordings of a chosen alternative are left out (RFC 2046 section 5.1.4).
It verifies no signature, opens no winmail.dat and decodes no uuencoded text inside a body.
"""

from __future__ import annotations

import binascii
import hashlib
import re

from lokole.mail import headers
from lokole.mail.charsets import clean, decode_text
from lokole.mail.filenames import extension_of, safe_filename
from lokole.mail.flowed import enriched_to_text, unflow
from lokole.mail.html import make_safe, text_to_html
from lokole.mail.model import Attachment
from lokole.mail.parts import MimeLimits, Part, headers_only

# Text that is shown; other text (calendar, vcard, csv, css) is a file.
_SHOWN = ("text/plain", "text/html", "text/enriched", "text/richtext", "text/x-amp-html", "text/watch-html")
_DATA_PICTURE = re.compile(
    r"\bsrc\s{0,9}=\s{0,9}[\"']\s{0,9}data:(image/(?:png|jpe?g|gif|webp|bmp));base64,([A-Za-z0-9+/=\s]++)[\"']",
    re.IGNORECASE | re.ASCII,
)
_DEFAULT_NAMES = {
    "text/calendar": "invite.ics",
    "text/rfc822-headers": "headers.txt",
    "message/delivery-status": "delivery-status.txt",
    "message/disposition-notification": "disposition-notification.txt",
    "application/ms-tnef": "winmail.dat",
    "application/vnd.ms-tnef": "winmail.dat",
    "application/pgp-signature": "signature.asc",
    "application/pgp-encrypted": "version.asc",
    "application/pkcs7-signature": "smime.p7s",
    "application/x-pkcs7-signature": "smime.p7s",
    "application/pkcs7-mime": "smime.p7m",
    "application/x-pkcs7-mime": "smime.p7m",
}


class Reader:
    """Walks the parts of one message and sorts them into body and files."""

    def __init__(self, limits: MimeLimits, problems: dict[str, None], *, sanitise: bool) -> None:
        self.limits = limits
        self.problems = problems
        self.sanitise = sanitise
        self.shown: list[str] = []
        self.files: list[tuple[Part, Attachment]] = []

    def read(self, part: Part) -> tuple[str, tuple[Attachment, ...]]:
        self.walk(part)
        if not self.shown:
            self.promote()
        return "<hr>".join(self.shown), tuple(attachment for _, attachment in self.files)

    def promote(self) -> None:
        """A letter that is nothing but a named text: the text is its body unless the sender called it an attachment."""
        for index, (part, _) in enumerate(self.files):
            disposition = headers.parameters(part.raw_header("content-disposition"))[0]
            if part.kind()[0] in _SHOWN and disposition != "attachment":
                del self.files[index]
                self.show(part, self.render(part))
                return

    def walk(self, part: Part, *, show: bool = True) -> None:
        """Sort ``part``; with ``show`` False its texts are another wording of what is shown already."""
        kind = part.kind()[0]
        children = [child for child in part.get_payload() if isinstance(child, Part)] if part.is_multipart() else []
        if not children:
            self.leaf(part, show=show)
        elif kind == "multipart/alternative":
            self.alternative(children, show=show)
        elif kind == "multipart/related":
            root = self.root_of(part, children)
            self.walk(root, show=show)
            for child in children:
                if child is not root and child.is_multipart():
                    self.walk(child, show=False)
                elif child is not root:
                    self.files.append((child, self.attachment(child)))
        else:
            for child in children:
                self.walk(child, show=show)

    def root_of(self, part: Part, children: list[Part]) -> Part:
        """The part that the others of a multipart/related belong to (RFC 2387 section 3.2)."""
        start = part.kind()[1].get("start", "").strip("<> ")
        for child in children:
            if start and self.cid_of(child) == start:
                return child
        return children[0]

    def alternative(self, children: list[Part], *, show: bool) -> None:
        """Show the richest wording that has anything to show, leave out the others, keep the files (RFC 2046 section 5.1.4)."""
        ranked = sorted(range(len(children)), key=lambda index: (_richness(children[index]), index), reverse=True)
        chosen = None
        if show:
            for index in ranked:
                if _richness(children[index]) == 0:
                    break
                before = len(self.shown), len(self.files)
                self.walk(children[index])
                if any(_visible(html) for html in self.shown[before[0] :]):
                    chosen = index
                    break
                del self.shown[before[0] :], self.files[before[1] :]
        for index, child in enumerate(children):
            if index != chosen:
                self.walk(child, show=False)

    def leaf(self, part: Part, *, show: bool) -> None:
        kind = part.kind()[0]
        disposition = headers.parameters(part.raw_header("content-disposition"))[0]
        if kind.startswith("multipart/") and part.depth < self.limits.max_depth:
            self.problems["broken-multipart"] = None
            self.show(part, self.render(part))
            return
        if kind.startswith("multipart/"):
            self.problems["too-deep"] = None
        if kind in _SHOWN and disposition != "attachment" and not self.name_of(part):
            if show:
                self.show(part, self.render(part))
            return
        self.files.append((part, self.attachment(part)))

    def show(self, part: Part, html: str) -> None:
        if _visible(html):
            self.shown.append(html)

    def render(self, part: Part) -> str:
        """A shown part as markup."""
        kind, values = part.kind()
        content = self.content(part)
        charset = values.get("charset")
        markup = kind in ("text/html", "text/x-amp-html", "text/watch-html")
        if not markup:
            content = content[: self.limits.max_body_chars * 4 + 4]  # enough to see that it is too long
        text, problem = decode_text(content, charset or (_meta_charset(content) if markup else None))
        if problem:
            self.problems[problem] = None
        if markup and self.sanitise:
            text = self.own_pictures(part, text)
        if len(text) > self.limits.max_body_chars:
            self.problems["long-body"] = None
            self.files.append((part, self.attachment(part)))
            text = text[: self.limits.max_body_chars]
        if markup:
            return make_safe(text) if self.sanitise else text
        if kind in ("text/enriched", "text/richtext"):
            text = enriched_to_text(text)
        elif values.get("format", "").lower() == "flowed":
            text = unflow(text, delsp=values.get("delsp", "").lower() == "yes")
        return text_to_html(text)

    def own_pictures(self, part: Part, html: str) -> str:
        """Markup whose pictures are written into it (RFC 2397), with each of them as a file of the letter instead."""

        def replace(match: re.Match[str]) -> str:
            if len(self.files) >= self.limits.max_parts:
                return match[0]
            content = headers.decode_base64(match[2].encode("ascii"))
            number = len(self.files) + 1
            cid = f"picture-{number}-{hashlib.sha256(content).hexdigest()[:16]}"
            kind = match[1].lower()
            self.files.append((part, Attachment(f"image-{number}{extension_of(kind)}", content, kind, cid)))
            return f'src="cid:{cid}"'

        return _DATA_PICTURE.sub(replace, html) if "base64," in html else html

    def content(self, part: Part) -> bytes:
        """The bytes of a leaf, its transfer encoding taken off as far as that goes (RFC 2045 section 6)."""
        data = part.content()
        encoding = headers.parameters(part.raw_header("content-transfer-encoding"))[0].strip("\"' ")
        if encoding == "base64":
            return headers.decode_base64(data)
        if encoding == "quoted-printable":
            return binascii.a2b_qp(data)
        if encoding in ("x-uuencode", "uuencode", "x-uue", "uue"):
            return _uudecode(data)
        if encoding not in ("", "7bit", "8bit", "binary", "8-bit", "7-bit"):
            self.problems["unknown-encoding"] = None
        return data

    def attachment(self, part: Part) -> Attachment:
        kind = part.kind()[0]
        content = self.content(part)
        name = self.name_of(part)
        if not name and kind in ("message/rfc822", "message/global"):
            subject = headers.text_of(headers_only(content).raw_header("subject"), limit=60)
            name = f"{subject or 'message'}.eml"
        if not name:
            stem = "image" if kind.startswith("image/") else "file"
            name = _DEFAULT_NAMES.get(kind) or f"{stem}-{len(self.files) + 1}{extension_of(kind)}"
        return Attachment(safe_filename(name), content, kind, self.cid_of(part) or None)

    def name_of(self, part: Part) -> str:
        """The file name a part gives itself, decoded; RFC 2183 before the older ``name`` of RFC 2045."""
        values = headers.parameters(part.raw_header("content-disposition"))[1]
        name = values.get("filename") or values.get("name") or part.kind()[1].get("name") or ""
        return clean(headers.decode_words(headers.plain(name, part.kind()[1].get("charset"))))

    def cid_of(self, part: Part) -> str:
        return clean(headers.plain(part.raw_header("content-id"))).strip("<> ")[:500]


def _richness(part: Part) -> int:
    """How good a wording a part of an alternative is: 3 markup, 2 plain text, 1 other shown text, 0 none."""
    kind = part.kind()[0]
    if part.is_multipart():
        return max((_richness(child) for child in part.get_payload() if isinstance(child, Part)), default=0)
    if headers.parameters(part.raw_header("content-disposition"))[0] == "attachment":
        return 0
    return {"text/html": 3, "text/plain": 2}.get(kind, 1 if kind in _SHOWN else 0)


def _visible(html: str) -> bool:
    """Whether markup shows anything: a word, a picture or a rule."""
    return "<img" in html or bool(re.sub(r"<[^<>]*>|&nbsp;|[\s\u00a0\u200b-\u200d\ufeff]", "", html))


def _meta_charset(content: bytes) -> str | None:
    match = re.search(
        rb"<meta[^<>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", content[:4096], re.IGNORECASE
    )
    return match[1].decode("ascii") if match else None


def _uudecode(data: bytes) -> bytes:
    lines = data.splitlines()
    starts = [index for index, line in enumerate(lines) if line.startswith(b"begin ")]
    decoded = []
    for line in lines[starts[0] + 1 if starts else 0 :]:
        if line.strip() in (b"end", b"`", b""):
            break
        try:
            decoded.append(binascii.a2b_uu(line))
        except binascii.Error:  # some encoders leave rubbish after the counted bytes
            count = ((line[0] - 32) & 63) * 4 // 3 + 2
            try:
                decoded.append(binascii.a2b_uu(line[:count]))
            except binascii.Error:
                return data
    return b"".join(decoded)
