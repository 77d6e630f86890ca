"""Names to objects: how `--model=NAME`, `--label_loss=NAME` and the test harness find what there is."""

from yt8m.errors import UserError

_KINDS = {"model": {}, "layer": {}, "loss": {}, "backbone": {}}


def register(kind, name=None):
    """Decorator that puts a class or function under its own name (or `name`) among the `kind`s.

    Raises:
        ValueError: the name is taken by another object.
    """

    def add(thing):
        key = name or thing.__name__
        if _KINDS[kind].setdefault(key, thing) is not thing:
            raise ValueError(f"{kind} {key!r} is registered twice: {_KINDS[kind][key]} and {thing}")
        return thing

    return add


def names(kind):
    """The registered names of a kind, sorted."""
    return sorted(_KINDS[kind])


def get(kind, name):
    """The object registered under `name`.

    Raises:
        UserError: nothing of that name; the line lists the known ones.
    """
    if name not in _KINDS[kind]:
        raise UserError(f"unknown {kind} {name!r}: use one of {', '.join(names(kind))}.")
    return _KINDS[kind][name]
