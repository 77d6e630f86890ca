"""What lies around a record in a TFRecord file, and what is said of a file that is not as it should be."""

from yt8m.errors import UserError

BEFORE, AFTER = 12, 4  # bytes of length + its CRC before a record's data, of the data's CRC behind it


def changed(path):
    """The UserError of a shard that has not the rows any more that were counted in it."""
    return UserError(f"shard {path} changed while it was read. Run the command again.")


def unreadable(path, reason):
    """The UserError of a shard that cannot be read, and why."""
    return UserError(f"cannot read shard {path}: {reason}. Check the path and its permissions.")
