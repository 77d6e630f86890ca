"""The command line of the package's own tools (`python -m yt8m....`); the commands at the top have flags.py."""

import argparse
import os
import sys

from yt8m.errors import UserError


class Arguments(argparse.ArgumentParser):
    """An argument parser whose complaints are UserErrors.

    Args:
        doc: the tool's docstring, shown by --help.
    """

    def __init__(self, doc, **kwargs):
        super().__init__(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **kwargs)

    def error(self, message):
        raise UserError(f"{message}. See --help.")


def run(main, argv=None):
    """Calls main(argv); an error of the user's, or of the file system's, is one line and exit status 1.

    Args:
        main: function of a list of arguments.
        argv: the command line, the tool first; None: the process's.
    """
    argv = sys.argv if argv is None else argv
    tool = os.path.basename(argv[0])
    try:
        main(argv[1:])
    except UserError as error:
        sys.exit(f"{tool}: error: " + " ".join(str(error).split()))
    except OSError as error:
        where = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        sys.exit(f"{tool}: error: {where}. Check the path, its permissions and the free space.")
    except KeyboardInterrupt:
        sys.exit(130)
