"""A browser without scripts, for tests: it follows links and sends forms as they stand in the page, and can do nothing else."""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from io import BytesIO
from typing import Any
from urllib.parse import urljoin, urlsplit

from flask import Flask
from werkzeug.test import TestResponse


@dataclass
class Button:
    name: str
    value: str
    label: str = ""


@dataclass
class PageForm:
    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[Button] = field(default_factory=list)
    file_fields: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[PageForm] = []
        self.links: list[tuple[str, str]] = []
        self.sources: list[str] = []
        self.text: list[str] = []
        self._form: PageForm | None = None
        self._button: Button | None = None
        self._link: int | None = None
        self._area: tuple[str, list[str]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        had = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = PageForm(had.get("action", ""), had.get("method", "get").lower())
            self.forms.append(self._form)
        elif tag == "a" and "href" in had:
            self.links.append((had.get("aria-label", ""), had["href"]))
            self._link = len(self.links) - 1
        elif tag in ("iframe", "img", "script"):
            self.sources.append(had.get("src", ""))
        if self._form is None:
            return
        if tag == "button" and had.get("type") != "button":
            self._button = Button(had.get("name", ""), had.get("value", ""), had.get("aria-label", ""))
            self._form.buttons.append(self._button)
        elif tag == "textarea":
            self._area = (had.get("name", ""), [])
        elif tag == "input" and had.get("name"):
            if had.get("type") == "file":
                self._form.file_fields.append(had["name"])
            elif had.get("type") not in ("checkbox", "radio") or "checked" in had:
                self._form.fields.append((had["name"], had.get("value", "on")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "button":
            self._button = None
        elif tag == "a":
            self._link = None
        elif tag == "textarea" and self._area is not None and self._form is not None:
            name, pieces = self._area
            self._form.fields.append((name, re.sub(r"^\r?\n", "", "".join(pieces))))
            self._area = None

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._area[1].append(data)
            return
        self.text.append(data)
        if self._button is not None:
            self._button.label += data
        if self._link is not None:
            label, href = self.links[self._link]
            self.links[self._link] = (label + data, href)


class Browser:
    """One person's browser with its cookies."""

    def __init__(self, app: Flask, language: str = "en") -> None:
        self.client = app.test_client()
        self.language = language
        self.address = "/"
        self.response: TestResponse
        self.html = ""

    def open(self, address: str, **headers: str) -> Browser:
        """Go there and follow redirects."""
        return self._send("GET", address, headers=headers)

    def follow(self, label: str) -> Browser:
        """Press the link that has ``label`` in its words."""
        for words, href in self._read().links:
            if label in " ".join(words.split()):
                return self.open(href)
        raise AssertionError(f"no link {label!r} on {self.address}")

    def press(self, label: str, files: list[tuple[str, bytes, str]] | None = None, **fields: Any) -> Browser:
        """Fill in fields and press the button that has ``label`` in its words (or its value)."""
        for form in self._read().forms:
            for button in form.buttons:
                if label in " ".join(button.label.split()) or (label and label == button.value):
                    return self._submit(form, button, fields, files or [])
        raise AssertionError(f"no button {label!r} on {self.address}")

    def fields(self, action: str) -> PageForm:
        """The form that is sent to ``action``."""
        return next(form for form in self._read().forms if form.action.partition("?")[0] == action)

    def token(self) -> str:
        """The token against forged forms on this page."""
        return next(value for form in self._read().forms for name, value in form.fields if name == "csrf_token")

    def post(self, address: str, data: dict[str, Any]) -> Browser:
        """Send a form that is not on the page."""
        return self._send("POST", address, data=data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._read().text).split())

    @property
    def links(self) -> list[tuple[str, str]]:
        return self._read().links

    @property
    def sources(self) -> list[str]:
        return self._read().sources

    @property
    def status(self) -> int:
        return self.response.status_code

    def _read(self) -> _Reader:
        reader = _Reader()
        reader.feed(self.html)
        return reader

    def _submit(
        self, form: PageForm, button: Button, fields: dict[str, Any], files: list[tuple[str, bytes, str]]
    ) -> Browser:
        values: list[tuple[str, str]] = [(name, value) for name, value in form.fields if name not in fields]
        for name, value in fields.items():
            values += [(name, one) for one in (value if isinstance(value, list) else [value])]
        if button.name:
            values.append((button.name, button.value))
        if form.method == "get":
            query = "&".join(f"{name}={value}" for name, value in values)
            return self.open(f"{form.action}?{query}")
        data: dict[str, Any] = {}
        for name, value in values:
            data.setdefault(name, []).append(value)
        if files:
            data[form.file_fields[0]] = [(BytesIO(content), name, kind) for name, content, kind in files]
        return self._send("POST", form.action, data=data)

    def _send(self, method: str, address: str, **options: Any) -> Browser:
        headers = {"Accept-Language": self.language, "Accept-Encoding": "gzip"} | options.pop("headers", {})
        if method == "POST":
            headers.setdefault("Origin", "http://localhost")
        where = urljoin(self.address, address)
        for _ in range(10):
            self.response = self.client.open(where, method=method, headers=headers, **options)
            self.response.request.environ["wsgi.input"].close()  # a large form lies in a file
            parts = urlsplit(where)
            self.address = parts.path + ("?" + parts.query if parts.query else "")
            if self.response.status_code not in (301, 302, 303, 307, 308):
                break
            where, method, options = urljoin(where, self.response.headers["Location"]), "GET", {}
            headers.pop("Origin", None)
        body = self.response.get_data()
        if self.response.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.html = body.decode("utf-8", "replace")
        return self
