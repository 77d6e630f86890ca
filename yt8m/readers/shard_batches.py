"""Every row of a list of shards, batched shard by shard: what is scored, stored and resumed by shard."""

from yt8m.readers.ahead import open_ahead
from yt8m.readers.loading import loaded
from yt8m.readers.rows import batched, shard_rows


def shard_batches(spec, files, batch_size, num_parallel=2):
    """The batches of each shard, in order; none holds rows of two shards, and reading goes on ahead across shards.

    Args:
        spec: DataSpec; its pattern is not looked at.
        files: paths of the shards.
        batch_size: rows of a batch; a shard's last one is smaller where it must be.
        num_parallel: batches that are loaded at the same time.

    Yields:
        (path, iterator of the shard's batches) a shard; the iterator has to be used up before the next shard is asked for.

    Raises:
        UserError: a bad argument. What is found while reading arrives as a tf.errors.OpError: see failures.errors_as_user_errors.
    """
    sizes = []

    def references():
        for shard in range(len(files)):
            open_ahead(files[shard : shard + 2])
            rows = shard_rows(spec, files, shard)
            sizes.append(len(rows))
            yield from batched([rows], batch_size)

    batches = _Lookahead(loaded(spec, files, references, num_parallel)) if files else None
    for shard, path in enumerate(files):
        batches.fetch()  # that there is a batch, or the end, says that the sizes of the shards up to it are known
        yield path, batches.take(sizes[shard])


class _Lookahead:
    """An iterator of batches that can look at the next one without giving it away."""

    def __init__(self, batches):
        self._batches, self._next, self._ended = iter(batches), None, False

    def fetch(self):
        """Waits for the next batch or the end."""
        if self._next is None and not self._ended:
            self._next = next(self._batches, None)
            self._ended = self._next is None

    def take(self, rows):
        """Yields the next batches, until they have so many rows."""
        while rows > 0:
            self.fetch()
            batch, self._next = self._next, None
            rows -= len(batch["ids"])
            yield batch
