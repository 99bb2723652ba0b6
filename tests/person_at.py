"""A person at a browser without JavaScript: opens pages, follows redirects, keeps cookies, fills forms in and presses their buttons.

A form is sent as a browser sends it, with all its hidden fields, so that a test says only what the person does:
``ann = PersonAt("http://localhost:5000"); ann.open("/user/register").fill(name="ann", password="…").press()``.
"""

from __future__ import annotations

import http.cookiejar
import re
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin, urlsplit


@dataclass(frozen=True)
class File:
    """A file that somebody chooses in a form."""

    name: str
    content: bytes
    type: str = "application/octet-stream"


@dataclass
class Form:
    """A form of a page: where it goes and what its fields hold; a button is (name, value, words)."""

    action: str
    method: str = "get"
    multipart: bool = False
    values: dict[str, str] = field(default_factory=dict)
    file_fields: list[str] = field(default_factory=list)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)


@dataclass
class Seen:
    """A page as the person sees it: status, address after redirects, its text without markup, its forms and links."""

    person: PersonAt
    status: int
    url: str
    content: bytes
    headers: Mapping[str, str]
    text: str = ""
    forms: list[Form] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    def form(self, action: str | None = None) -> Filled:
        """The form that goes to a path ending in ``action``, or the first one that has a field to fill in."""
        for form in self.forms:
            target = urlsplit(form.action).path
            if target.endswith(action) if action is not None else len(set(form.values) - {"csrf_token", "back"}) > 0:
                return Filled(self, form)
        raise AssertionError(f"{self.path} has no form for {action}: {[form.action for form in self.forms]}")

    def fill(self, **values: str) -> Filled:
        """Begin to fill in the form of this page that has all these fields."""
        for form in self.forms:
            if set(values) <= set(form.values):
                return Filled(self, form).fill(**values)
        raise AssertionError(f"{self.path} has no form with {sorted(values)}: {[sorted(f.values) for f in self.forms]}")

    def follow(self, words: str) -> Seen:
        """Follow the first link whose words contain ``words``."""
        for target, text in self.links:
            if words in text:
                return self.person.open(target, base=self.url)
        raise AssertionError(f"{self.path} has no link “{words}”: {[text for _, text in self.links]}")

    def choose(self, words: str) -> Seen:
        """Touch what says ``words``: a button of a form, or a link."""
        for form in self.forms:
            for name, value, text in form.buttons:
                if words in " ".join(text.split()):
                    return self.person.send(Filled(self, form), {**form.values, **({name: value} if name else {})})
        return self.follow(words)

    def link_to(self, pattern: str) -> str:
        """The address of the first link that matches ``pattern``."""
        for target, _ in self.links:
            if re.search(pattern, target):
                return target
        raise AssertionError(f"{self.path} has no link to {pattern}: {[target for target, _ in self.links]}")


@dataclass
class Filled:
    """A form being filled in."""

    page: Seen
    form_: Form
    files: list[File] = field(default_factory=list)

    def fill(self, **values: str) -> Filled:
        self.form_.values.update(values)
        return self

    def attach(self, *files: File) -> Filled:
        self.files.extend(files)
        return self

    def press(self, value: str | None = None) -> Seen:
        """Press the button with ``value``, or the first one; returns the page after all redirects."""
        values = dict(self.form_.values)
        for name, button, _ in self.form_.buttons:
            if name and (value is None or button == value):
                values[name] = button
                break
        else:
            assert value is None, f"no button {value}: {self.form_.buttons}"
        return self.page.person.send(self, values)


class PersonAt:
    """Somebody at the pages below ``url``, who waits ``seconds`` for each."""

    def __init__(self, url: str, *, seconds: float = 60) -> None:
        self.seconds = seconds
        self.url = url.rstrip("/") + "/"
        self._jar = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(self._jar), urllib.request.ProxyHandler({})
        )

    @property
    def cookies(self) -> dict[str, str]:
        return {cookie.name: cookie.value or "" for cookie in self._jar}

    def open(self, path: str, *, base: str | None = None) -> Seen:
        """Open ``path``, relative to ``base`` or to where the person began."""
        return self._ask(urllib.request.Request(urljoin(base or self.url, path)))

    def send(self, filled: Filled, values: Mapping[str, str]) -> Seen:
        """Send a form as filled in."""
        form, page = filled.form_, filled.page
        target = urljoin(page.url, form.action or page.url)
        if form.method == "get":
            return self._ask(urllib.request.Request(f"{target}?{urlencode(values)}"))
        if form.multipart:
            body, content_type = _multipart(values, form.file_fields, filled.files)
        else:
            assert not filled.files, "this form takes no files"
            body, content_type = urlencode(values).encode(), "application/x-www-form-urlencoded"
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(target))
        headers = {"Content-Type": content_type, "Origin": origin}
        return self._ask(urllib.request.Request(target, body, headers))

    def _ask(self, request: urllib.request.Request) -> Seen:
        try:
            answer = self._opener.open(request, timeout=self.seconds)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            headers = {name.title(): value for name, value in answer.headers.items()}
            seen = Seen(self, answer.status, answer.url, answer.read(), headers)
        if "html" in seen.headers.get("Content-Type", ""):
            reader = _Reader(seen)
            reader.feed(seen.content.decode("utf-8", "replace"))
            seen.text = " ".join("".join(reader.words).split())
        return seen


class _Reader(HTMLParser):
    """Finds text, links and forms; forgives markup that leaves its end tags out."""

    def __init__(self, seen: Seen) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self._seen = seen
        self._form: Form | None = None
        self._link: tuple[str, list[str]] | None = None
        self._button: tuple[str, str, list[str]] | None = None
        self._textarea: str | None = None
        self._select: str | None = None
        self._hidden = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: unescape(value or "") for name, value in attributes}
        form = self._form
        if tag in ("script", "style"):
            self._hidden += 1
        elif tag == "form":
            self._form = Form(
                values.get("action", ""), values.get("method", "get").lower(), "multipart" in values.get("enctype", "")
            )
            self._seen.forms.append(self._form)
        elif tag == "a" and "href" in values:
            self._end_link()
            self._link = (values["href"], [])
        elif tag == "button":
            self._button = (values.get("name", ""), values.get("value", ""), [])
        elif tag == "textarea" and form is not None:
            self._textarea = values.get("name", "")
            form.values[self._textarea] = ""
        elif tag == "select" and form is not None:
            self._select = values.get("name", "")
        elif tag == "option" and form is not None and self._select:
            if "selected" in values or self._select not in form.values:
                form.values[self._select] = values.get("value", "")
        elif tag == "input" and form is not None and values.get("name"):
            self._input(form, values)
        self.words.append(" ")

    def _input(self, form: Form, values: dict[str, str]) -> None:
        kind, name = values.get("type", "text"), values["name"]
        if kind == "file":
            form.file_fields.append(name)
        elif kind in ("submit", "image"):
            form.buttons.append((name, values.get("value", ""), values.get("value", "")))
        elif kind not in ("checkbox", "radio") or "checked" in values:
            form.values[name] = values.get("value", "on" if kind == "checkbox" else "")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._hidden -= 1
        elif tag == "form":
            self._form = None
        elif tag == "a":
            self._end_link()
        elif tag == "button" and self._button is not None:
            if self._form is not None:
                name, value, words = self._button
                self._form.buttons.append((name, value, "".join(words).strip()))
            self._button = None
        elif tag == "textarea":
            self._textarea = None
        elif tag == "select":
            self._select = None
        self.words.append(" ")

    def handle_data(self, data: str) -> None:
        if self._textarea is not None and self._form is not None:
            self._form.values[self._textarea] += data
            return
        if self._hidden:
            return
        self.words.append(data)
        if self._link is not None:
            self._link[1].append(data)
        if self._button is not None:
            self._button[2].append(data)

    def _end_link(self) -> None:
        if self._link is not None:
            self._seen.links.append((self._link[0], " ".join("".join(self._link[1]).split())))
            self._link = None


def _multipart(values: Mapping[str, str], file_fields: list[str], files: list[File]) -> tuple[bytes, str]:
    """A form with files, as RFC 7578 has it."""
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in values.items()
    ]
    for n, name in enumerate(file_fields):
        # who has files puts them into the first place for some
        for file in (files if n == 0 else []) or [File("", b"")]:
            head = f'Content-Disposition: form-data; name="{name}"; filename="{file.name}"\r\nContent-Type: {file.type}'
            parts.append(f"--{boundary}\r\n{head}\r\n\r\n".encode() + file.content + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"
