"""Two kinds of commands: of flags, which absl reads by the tables of yt8m.flags, and of arguments, which argparse reads."""

import argparse
import os
import textwrap

from absl import flags as absl_flags

from yt8m.backend import check_backend, import_tensorflow
from yt8m.errors import UserError
from yt8m.flags import recipe_files, table

HELP = {"--help", "-h", "-help", "--helpfull", "--helpshort"}


class FlagCommand:
    """A command that is given flags only.

    Args:
        doc: its module's docstring, shown by --help.
        groups: flags.table.Groups.
        main: function of {flag: value} of what was given; returns the exit status, or None for 0.
        computes: what it does with models, e.g. "training", which needs Keras's TensorFlow backend; None: nothing.
    """

    def __init__(self, doc, groups, main, computes=None):
        self.doc, self.groups, self.main, self.computes = doc, groups, main, computes

    def run(self, arguments, program):
        """Reads the arguments and runs the command.

        Raises:
            UserError: bad input.
        """
        given = self.parse(arguments, program)
        check_backend(self.computes)
        import_tensorflow()
        return self.main(given)

    def parse(self, arguments, program="yt8m"):
        """{flag: value} of what was given.

        Raises:
            UserError: an unknown flag, or a bad value.
        """
        values = absl_flags.FlagValues()
        known = table.by_name(self.groups)
        for flag in known.values():
            define = absl_flags.DEFINE_bool if flag.kind is bool else absl_flags.DEFINE_string
            define(flag.name, None, flag.meaning, values)
        try:
            rest = values([program, *packaged_flagfiles(arguments)])[1:]
        except absl_flags.Error as error:
            raise UserError(str(error)) from error
        except UnicodeDecodeError as error:
            named = " ".join(filter(_is_flagfile, arguments)) or "--flagfile"
            raise UserError(f"{named}: no text ({error}). Name a file with a flag a line.") from error
        if rest:
            raise UserError(f"{rest[0]}: not a flag. Flags start with --; see --help.")
        return table.read(self.groups, {name: values[name].value for name in known})

    def help(self, program):
        """The command's doc and its flags in groups."""
        lines = [self.doc.strip(), ""]
        for group in self.groups:
            lines.append(f"{group.title}:")
            for flag in group.flags:
                name = f"--[no]{flag.name}" if flag.kind is bool else f"--{flag.name}"
                choices = f" One of {', '.join(flag.choices)}." if flag.choices else ""
                body = textwrap.wrap(flag.meaning + choices, 86)
                lines += [f"  {name:<31}{body[0]}" if len(name) < 30 else f"  {name}\n{'':33}{body[0]}"]
                lines += [f"{'':33}{line}" for line in body[1:]]
            lines.append("")
        return "\n".join([*lines, "  --flagfile=FILE reads flags from a file, one a line, # comments."])


class ArgumentCommand:
    """A command with arguments beside its flags.

    Args:
        doc: its module's docstring, shown by --help.
        parser: function that returns its Arguments.
        main: function of (options, unknown arguments); returns the exit status, or None for 0.
        passes_on: whether unknown arguments are handed to main; otherwise they are refused.
        computes: as FlagCommand's.
    """

    def __init__(self, doc, parser, main, passes_on=False, computes=None):
        self.doc, self.parser, self.main, self.passes_on, self.computes = doc, parser, main, passes_on, computes

    def run(self, arguments, program):
        """Reads the arguments and runs the command.

        Raises:
            UserError: bad input.
        """
        options, unknown = self.parser().parse_known_args(arguments)
        if unknown and not self.passes_on:
            raise UserError(f"unrecognized arguments: {' '.join(unknown)}. See --help.")
        check_backend(self.computes)
        import_tensorflow()
        return self.main(options, unknown) if self.passes_on else self.main(options)

    def help(self, program):
        """The command's doc and its arguments."""
        parser = self.parser()
        parser.prog, parser.description = program, self.doc.strip()
        return parser.format_help()


class Arguments(argparse.ArgumentParser):
    """An argument parser whose complaints are UserErrors."""

    def __init__(self, **kwargs):
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **kwargs)

    def error(self, message):
        raise UserError(f"{message}. See --help.")


def packaged_flagfiles(arguments):
    """The arguments, with --flagfile=configs/NAME.flags as the file of the package where there is none here."""
    return [_packaged(*argument.partition("=")) if _is_flagfile(argument) else argument for argument in arguments]


def _is_flagfile(argument):
    return argument.startswith("-") and argument.lstrip("-").startswith("flagfile=")


def _packaged(flag, equals, path):
    folder, name = os.path.split(path)
    if folder == "configs" and not os.path.exists(path):
        path = recipe_files.path_of(name.removesuffix(".flags"))
    return f"{flag}{equals}{path}"
