"""The values of flags, read from the command line's text or taken as Python has them: functions of (name of the flag, value)."""

import ast
import contextlib
import operator
import os

from yt8m import jsonfiles
from yt8m.errors import UserError

# Type of a default -> (types of values that do, what they are called).
_LIKE = {
    bool: ((bool, int), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    str: ((str,), "a name"),
    list: ((list, tuple), "a list"),
    tuple: ((list, tuple), "a list"),
}
_BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


def text(name, value):
    """A text; a list or tuple is joined by commas, as the flag has several values."""
    if isinstance(value, (list, tuple)):
        return ",".join(text(name, part) for part in value)
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


def integer(name, value):
    """A whole number."""
    with contextlib.suppress(ValueError, TypeError):
        chosen = int(value) if isinstance(value, str) else operator.index(value)
        if abs(chosen) < 2**63:
            return chosen
    raise UserError(f"--{name}={value}: expected a whole number.")


def number(name, value):
    """A number."""
    with contextlib.suppress(ValueError, TypeError):
        return float(value)
    raise UserError(f"--{name}={value}: expected a number.")


def boolean(name, value):
    """True or False."""
    chosen = _BOOLEANS.get(str(value).lower())
    if chosen is None:
        raise UserError(f"--{name}={value}: expected true or false.")
    return chosen


def names(name, value):
    """Names with commas between them, as a tuple; an empty text has none."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",")) if value else ()
    return tuple(text(name, part) for part in _sequence(name, value))


def sizes(name, value):
    """Sizes with commas between them, as a tuple of positive ints."""
    parts = value.split(",") if isinstance(value, str) else _sequence(name, value)
    try:
        chosen = tuple(int(part) if isinstance(part, str) else operator.index(part) for part in parts)
    except (ValueError, TypeError):
        raise UserError(f"--{name}={text(name, value)}: must be integers, one for each of --feature_names.") from None
    if min(chosen, default=0) < 1:
        raise UserError(f"--{name}={text(name, value)}: each must be above 0.")
    return chosen


def entries(name, value):
    """Texts with commas between them, as a tuple; commas in brackets do not divide."""
    if isinstance(value, str):
        return tuple(split_outside_brackets(value)) if value else ()
    return tuple(text(name, part) for part in _sequence(name, value))


def assignments(name, value):
    """name=value,... as a dict.

    Raises:
        UserError: an entry that is not name=value.
    """
    if not isinstance(value, str):
        return {key: list(part) if isinstance(part, tuple) else part for key, part in _mapping(name, value).items()}
    chosen = {}
    for entry in filter(None, split_outside_brackets(value)):
        key, equals, part = entry.partition("=")
        if not equals or not key.strip():
            raise UserError(f"--{name}={entry}: must be name=value, several separated by commas.")
        chosen[key.strip()] = literal(part.strip())
    return chosen


def multipliers(name, value):
    """prefix=factor,... as {prefix: factor}.

    Raises:
        UserError: an entry that is not prefix=factor with a factor of 0 or more, or a prefix given twice.
    """
    if isinstance(value, str):
        pairs = [(entry, *_pair(entry)) for entry in filter(None, (entry.strip() for entry in value.split(",")))]
    else:
        pairs = [(f"{prefix}={factor}", prefix, factor) for prefix, factor in _mapping(name, value).items()]
    factors = {}
    for entry, prefix, factor in pairs:
        try:
            factor = float(factor)
        except (ValueError, TypeError):
            factor = -1.0
        if not prefix or not 0 <= factor < float("inf"):
            raise UserError(f"--{name}={entry}: must be prefix=factor, the factor 0 or more.")
        if prefix in factors:
            raise UserError(f"--{name}={entry}: {prefix} was given already. Leave one out.")
        factors[prefix] = factor
    return factors


def literal(text):
    """A hyperparameter's value as typed: a Python literal where it reads as one, else the text; a tuple as a list, as in JSON."""
    with contextlib.suppress(ValueError, SyntaxError, RecursionError, MemoryError):
        value = ast.literal_eval(text)
        return list(value) if isinstance(value, tuple) else value
    return {"true": True, "false": False}.get(text.lower(), text)


def check_like(name, value, default):
    """Refuses an argument's value of another type than its default, or a number that no size or rate can be; None passes.

    Raises:
        UserError: names the argument.
    """
    kinds, expected = _LIKE.get(type(default), ((object,), ""))
    parts = value if isinstance(value, (list, tuple)) else [value]
    if isinstance(value, kinds) and isinstance(value, bool) <= (bool in kinds or object in kinds):
        expected = ""
    if not expected and not all(abs(part) < 2**31 for part in parts if isinstance(part, (int, float))):
        expected = "numbers below 2^31"
    if value is not None and expected:
        raise UserError(f"{name}={jsonfiles.shown(value)}: expected {expected}, such as {jsonfiles.shown(default)}.")


def split_outside_brackets(text):
    """The parts of a text between its commas, but for those in brackets, which may be nested."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _pair(entry):
    prefix, _, factor = (part.strip() for part in entry.partition("="))
    return prefix, factor


def _sequence(name, value):
    if not isinstance(value, (list, tuple)):
        raise UserError(f"--{name}={value}: expected a list, or a text with commas.")
    return value


def _mapping(name, value):
    if not hasattr(value, "items"):
        raise UserError(f"--{name}={value}: expected a dict, or a text name=value,...")
    return value
