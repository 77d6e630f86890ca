"""JSON files that a run keeps for itself, read as if a stranger had written them: their size, their form, every value's type."""

import json
import os
import re
from dataclasses import dataclass

from yt8m.errors import UserError

MAX_BYTES = 64 << 20
MAX_DEPTH = 50
MAX_INT = 2**63 - 1
_NO_DEFAULT = object()


@dataclass(frozen=True)
class Text:
    """A text, of this pattern as a whole."""

    pattern: str = r"[^\0]{0,10000}"

    def expected(self, value):
        if not isinstance(value, str) or not re.fullmatch(self.pattern, value, re.DOTALL):
            return "a text" if self.pattern == Text.pattern else f"a text like {self.pattern}"


@dataclass(frozen=True)
class Integer:
    """A whole number from `least` to `most`."""

    least: int = -MAX_INT
    most: int = MAX_INT

    def expected(self, value):
        if not isinstance(value, int) or isinstance(value, bool) or not self.least <= value <= self.most:
            return f"a whole number from {self.least} to {self.most}"


@dataclass(frozen=True)
class Number:
    """A number, also NaN or infinite."""

    def expected(self, value):
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return "a number"


@dataclass(frozen=True)
class Boolean:
    """true or false."""

    def expected(self, value):
        if not isinstance(value, bool):
            return "true or false"


@dataclass(frozen=True)
class ListOf:
    """A list of these."""

    kind: object

    def expected(self, value):
        if not isinstance(value, list):
            return "a list"
        return next((f"a list of which each is {wrong}" for wrong in map(self.kind.expected, value) if wrong), None)


@dataclass(frozen=True)
class Object:
    """An object with these fields (a kind each) and others; None: any."""

    fields: dict | None = None

    def expected(self, value):
        if not isinstance(value, dict):
            return "an object with names and values"
        try:
            check(value, self.fields or {})
        except ValueError as error:
            return f"an object without this in it: {error}"


@dataclass(frozen=True)
class Optional:
    """A field that need not be there, one of these where it is; with `null` also null."""

    kind: object
    null: bool = False

    def expected(self, value):
        return None if value is None and self.null else self.kind.expected(value)


def read(path, fields, way_out, missing=_NO_DEFAULT):
    """The object in a JSON file.

    Args:
        path: the file.
        fields: {name: kind}; other names may be there, too. None: the file may hold any JSON.
        way_out: what the user can do when it is damaged, the end of the error's line.
        missing: what is returned where there is no file; not given: that is an error, too.

    Raises:
        UserError: names the file, and the field with its value.
    """
    try:
        if os.path.getsize(path) > MAX_BYTES:
            raise UserError(f"{path}: damaged (more than {MAX_BYTES:,} bytes). {way_out}.")
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        if missing is _NO_DEFAULT:
            raise
        return missing
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: damaged (no UTF-8). {way_out}.") from error
    try:
        return parse(text, fields)
    except ValueError as error:
        raise UserError(f"{path}: damaged ({error}). {way_out}.") from error


def parse(text, fields):
    """The object that a JSON text says.

    Args:
        text, fields: as read's.

    Raises:
        ValueError: it is no JSON, goes too deep, has whole numbers beyond 2^63, lacks a field, or has one of another kind.
    """
    try:
        values = json.loads(text)
    except RecursionError:
        raise ValueError(f"nested more than {MAX_DEPTH} deep") from None
    check_depth(values)
    if fields is not None:
        check(values, fields)
    return values


def check(values, fields):
    """Raises ValueError unless values is a dict with these fields, {name: kind}."""
    if not isinstance(values, dict):
        raise ValueError(f"{shown(values)}: expected an object with {', '.join(fields)}")
    for name, kind in fields.items():
        if name not in values:
            if isinstance(kind, Optional):
                continue
            raise ValueError(f"no {name}")
        wrong = kind.expected(values[name])
        if wrong:
            raise ValueError(f"{name}={shown(values[name])}: expected {wrong}")


def shown(value, length=60):
    """A value for a message: its JSON, or the beginning of it."""
    text = json.dumps(value, default=str)
    return text if len(text) <= length else text[: length - 3] + "..."


def check_depth(value, left=MAX_DEPTH):
    """Raises ValueError for lists and objects in each other more than MAX_DEPTH deep, and for numbers beyond 2^63."""
    if left < 0:
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    if isinstance(value, (list, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            check_depth(part, left - 1)
    elif isinstance(value, int) and abs(value) > MAX_INT:
        raise ValueError("a number is beyond 2^63")
