"""Damage to the files of a store of scores."""

from yt8m.readers import shard_scores


def flip(path, at):
    """Changes one byte of a file; again: changes it back."""
    content = bytearray(path.read_bytes())
    content[at] ^= 0x55
    path.write_bytes(content)


def sign(folder, shard):
    """Gives a shard of a store the checksums of its files as they are now."""
    start = f"{folder}/{shard}"
    shard_scores.write_sums(f"{start}.sums.json", f"{start}.scores.npy", f"{start}.segments.csv")
