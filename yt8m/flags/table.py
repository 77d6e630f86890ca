"""What a command can be told: flags with their kind and their meaning, as data. The command line defines its flags from these
tables, and the functions of yt8m.api read their arguments by them."""

import dataclasses
import difflib

from yt8m.errors import UserError
from yt8m.flags import recipe_files, values

_READERS = {str: values.text, int: values.integer, float: values.number, bool: values.boolean}


@dataclasses.dataclass(frozen=True)
class Flag:
    """A flag of the command line, and the argument of that name in Python.

    Attributes:
        name: without dashes.
        kind: str, int, float, bool, or a function of `values` (name, value) -> value.
        meaning: for --help.
        choices: the values that it may have; (): any.
        same_as: name of the flag that it is another name of; "": none.
    """

    name: str
    kind: object
    meaning: str
    choices: tuple = ()
    same_as: str = ""

    def read(self, value):
        """The value, given as the command line's text or as a Python value.

        Raises:
            UserError: it is not of this kind, or not among the choices.
        """
        value = _READERS.get(self.kind, self.kind)(self.name, value)
        if self.choices and value not in self.choices:
            raise UserError(f"--{self.name}={value}: use one of {', '.join(self.choices)}.")
        return value


@dataclasses.dataclass(frozen=True)
class Group:
    """Flags that belong together: a title for --help, and Flags."""

    title: str
    flags: tuple


def by_name(groups):
    """{name: Flag} of Groups, in their order."""
    return {flag.name: flag for group in groups for flag in group.flags}


def read(groups, given):
    """What was given, each value as its flag's kind has it; None is not given. A --recipe's flags come in beside it.

    Args:
        groups: Groups of the command.
        given: {name: text or Python value}.

    Returns:
        dict of name -> value; a name that is not in it was not given. What was given by a flag's other name has the flag's.

    Raises:
        UserError: an unknown name, with those that are like it, a value of another kind than the flag's, or a flag that is
            given by both its names.
    """
    known = by_name(groups)
    given = {name: value for name, value in given.items() if value is not None}
    for name in given:
        if name not in known:
            raise UserError(_unknown(name, known))
        if known[name].same_as in given:
            raise UserError(f"--{name} and --{known[name].same_as} mean the same. Leave one of them out.")
    recipe = given.pop("recipe", None)
    if recipe:
        given = {**recipe_files.read(recipe, known), **given}
    return {known[name].same_as or name: known[name].read(value) for name, value in given.items()}


def _unknown(name, known):
    close = difflib.get_close_matches(name, known, n=3)
    if close:
        return f"unknown flag {name!r}: did you mean {' or '.join(close)}?"
    return f"unknown flag {name!r}: use some of {', '.join(sorted(known))}."
