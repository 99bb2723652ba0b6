"""Compiled templates on the disk, so that a box compiles each once and not after every power cut.

Compiling costs a Raspberry Pi a second or two of the first pages, and 3 MB that its heap does not get back.
Nothing here can fail a page: what cannot be read or written, or is not whole, is compiled anew.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket

_DIGEST = 32


class TemplateCache(jinja2.BytecodeCache):
    """Keeps bytecode in ``folder``, which is made; only its owner may write there, for what lies in it is run.

    A file begins with the SHA-256 of the rest: marshal must not read what a power cut has torn.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load_bytecode(self, bucket: Bucket) -> None:
        """As Jinja asks: fill ``bucket``, or leave it empty."""
        try:
            content = self._path(bucket).read_bytes()
        except OSError:
            return
        if hashlib.sha256(content[_DIGEST:]).digest() == content[:_DIGEST]:
            bucket.bytecode_from_string(content[_DIGEST:])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """As Jinja asks: keep what ``bucket`` holds; a full disk keeps nothing."""
        content = bucket.bytecode_to_string()
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            handle, beside = tempfile.mkstemp(dir=self._folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(hashlib.sha256(content).digest() + content)
                Path(beside).replace(self._path(bucket))
            except BaseException:
                Path(beside).unlink(missing_ok=True)
                raise

    def _path(self, bucket: Bucket) -> Path:
        """Jinja compares the source of a template and the version of Python; its own version and the options are up to us."""
        options = bucket.environment
        made_by = (jinja2.__version__, options.trim_blocks, options.lstrip_blocks, sorted(options.extensions))
        return self._folder / hashlib.sha256(f"{made_by} {bucket.key}".encode()).hexdigest()[:32]
