"""More letters from the outside world to the people of the local box, over SMTP, as strangers would send them.

``tools/test_emails.py [--data DIR] [NAME…]``: to those people, or to the two of the demo; prints a line for each letter.
They wait at the server until the box's next exchange.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from email.utils import format_datetime, localtime, make_msgid
from pathlib import Path

from PIL import Image, ImageDraw

from lokole.local.demo import PEOPLE

CSV = "item,price\nrice 25 kg,41000\nsalt 1 kg,900\nsoap,600\n"


def photo() -> bytes:
    """A picture as a telephone makes it: large, and of a place that does not exist."""
    picture = Image.new("RGB", (3000, 2000), (140, 190, 235))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((2200, 150, 2600, 550), fill=(250, 220, 90))
    draw.polygon(
        [(0, 2000), (0, 1300), (900, 800), (1700, 1400), (2400, 1000), (3000, 1500), (3000, 2000)], (70, 120, 60)
    )
    grain = random.Random(1)  # the same picture at each call
    for _ in range(20_000):
        x, y = grain.randrange(3000), grain.randrange(1300, 2000)
        draw.point((x, y), fill=(60 + grain.randrange(40), 100 + grain.randrange(60), 50))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=92)
    return out.getvalue()


def letters(to: str) -> Iterator[EmailMessage]:
    """One letter of each kind that people get."""

    def letter(sender: str, subject: str, text: str) -> EmailMessage:
        message = EmailMessage()
        message["From"] = sender
        message["To"] = to
        message["Subject"] = subject
        message["Date"] = format_datetime(localtime())
        message["Message-ID"] = make_msgid(domain="example.org")
        message.set_content(text)
        return message

    yield letter(
        "Clara <clara@example.org>", "How was the harvest?", "I hope the rain came in time.\nTell me about it.\n"
    )
    markup = letter("Radio <news@example.net>", "This week", "The market is on Thursday.\n")
    markup.add_alternative(
        "<h2>This week</h2><p>The market is on <b>Thursday</b>.</p><ul><li>rice</li><li>salt</li></ul>"
        '<script>alert(1)</script><img src="https://example.net/pixel.gif" alt="">',
        subtype="html",
    )
    yield markup
    with_photo = letter("Émile <emile@example.org>", "Vue de la colline", "La photo que je t’avais promise.\n")
    with_photo.add_attachment(photo(), maintype="image", subtype="jpeg", filename="colline.jpg")
    yield with_photo
    prices = letter("Cooperative <office@example.com>", "Prices", "The list is attached.\n")
    prices.add_attachment(CSV, subtype="csv", filename="prices.csv")
    yield prices
    yield letter("محمد <mohamed@example.org>", "السلام عليكم", "كيف حالكم؟\n日本からも、こんにちは。\n")
    yield letter("Teacher <teacher@example.org>", "A long letter", "One day after the other. " * 400)


def main() -> None:
    """Send them all."""
    parser = argparse.ArgumentParser(description="Letters from the outside world to the people of the local box.")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("DATA", ".lokole")) / "data")
    parser.add_argument("name", nargs="*", default=PEOPLE)
    arguments = parser.parse_args()
    told = json.loads((arguments.data / "local.json").read_text("utf-8"))
    with smtplib.SMTP(told["smtp_host"], told["smtp_port"], timeout=30) as line:
        for name in arguments.name:
            address = f"{name}@{told['domain']}"
            for message in letters(address):
                line.send_message(message, to_addrs=[address])
                print(f"{message['From']} to {address}: {message['Subject']}")
    print("They wait at the server: “Send now” on the page “The box” brings them home.")


if __name__ == "__main__":
    main()
