"""The one error that a user's input can cause."""


class UserError(ValueError):
    """Bad input: the message is one line that names the value, what was expected and what to do.

    The commands print the line and exit with status 1; library users catch it as a ValueError.
    """
