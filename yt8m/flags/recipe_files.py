"""The flag files of published recipes (configs/*.flags): where they are, and what they hold."""

import pathlib

from yt8m.errors import UserError

_PACKAGE = pathlib.Path(__file__).parent.parent
FOLDERS = (_PACKAGE / "configs", _PACKAGE.parent / "configs")  # installed, or beside the package in a checkout


def path_of(name):
    """Path of a recipe's flag file.

    Raises:
        UserError: there is none of that name; the line lists the known ones.
    """
    files = {path.stem: path for folder in FOLDERS[::-1] for path in folder.glob("*.flags")}
    if name not in files:
        raise UserError(f"--recipe={name}: unknown. Use one of {', '.join(sorted(files))}.")
    return files[name]


def read(name, known):
    """{name: text or bool} of a recipe's flags.

    Args:
        name: of the recipe.
        known: {name: Flag} of the command.

    Raises:
        UserError: there is no such recipe, or it has a flag that the command does not know.
    """
    given = {}
    for line in path_of(name).read_text(encoding="utf-8").splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        flag, equals, value = line.lstrip("-").partition("=")
        if not equals:
            value, flag = (False, flag[2:]) if flag not in known and flag.startswith("no") else (True, flag)
        if flag not in known:
            raise UserError(f"--recipe={name}: --{flag} in it is no flag of this command. Use the command that its header names.")
        given[flag] = value
    return given
