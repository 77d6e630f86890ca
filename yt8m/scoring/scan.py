"""Going through shards: what is read, scored and stored, shard by shard.

Shards are taken in the order of their names, and no batch holds rows of two. So a shard's scores do not depend on the others:
workers may share the shards out, and a store that holds some of them already is gone on with.
"""

import contextlib
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from yt8m.errors import UserError
from yt8m.progress import Progress
from yt8m.readers import records
from yt8m.readers.failures import errors_as_user_errors
from yt8m.readers.index import index_shard, is_remote, open_shard, version
from yt8m.readers.patterns import match_files
from yt8m.readers.quantiser import decode_scores
from yt8m.readers.shard_batches import shard_batches
from yt8m.readers.stores import StoreConfig, check_basenames, create_store
from yt8m.scoring.submission import check_id
from yt8m.segments import SEGMENT_SIZE, segments_of

_STORED_ROWS_AT_A_TIME = 8192


@dataclass(frozen=True)
class Job:
    """Which shards are scored, and where the scores go.

    Attributes:
        pattern: shards: frame level for segments, else of the kind that the models were trained on.
        output_file: CSV; "": none.
        batch_size: videos at a time, of one shard.
        scores_output: folder of the scores store; "": none. Where there is one, the CSV is made from the scores as they are
            stored, so that it does not matter which of them were there already.
        scores_dtype: of the store.
        worker: (i, n): score the shards i::n only, and leave a partial result for workers.merge instead of the CSV; None: all.
        num_readers: batches that are read at the same time.
    """

    pattern: str
    output_file: str = ""
    batch_size: int = 128
    scores_output: str = ""
    scores_dtype: str = "uint16"
    worker: tuple | None = None
    num_readers: int = 2

    def __post_init__(self):
        if not self.output_file and not self.scores_output:
            raise UserError(
                "--output_file= is empty and there is no --scores_output: nothing would be written. Name one of them."
            )
        if self.worker is not None and not 0 <= self.worker[0] < self.worker[1]:
            index, count = self.worker
            raise UserError(f"--worker_index={index} --num_workers={count}: expected an index from 0 to {max(count - 1, 0)}.")


class Scan:
    """One pass over the shards of a job.

    Args:
        scorer: Scorer.
        job: Job.

    Attributes:
        files: all shards, sorted; a worker scores some of them.
        made_by: what determines the scores, in JSON's types.
        store: the ScoreStore of the job's scores_output, or None.

    Raises:
        UserError: no shard, two of one name for one store, or a store of another run.
    """

    def __init__(self, scorer, job):
        self._scorer, self._job, self.store = scorer, job, None
        self._rows, self._videos, self._left_out, self._without, self._start = 0, 0, 0, 0, time.monotonic()
        self._ids = [np.zeros(0, np.int64)]  # hashes of the videos' ids
        self.files = match_files(job.pattern, "input_data_pattern")
        self.made_by = scorer.provenance() if job.scores_output or job.worker else {}
        if job.scores_output:
            check_basenames(self.files)
            config = StoreConfig(scorer.kind, scorer.label_ids, job.scores_dtype, SEGMENT_SIZE, self.made_by)
            self.store = create_store(job.scores_output, config)

    def run(self, keep=None):
        """Scores the shards, or reads their scores where the store has them.

        Args:
            keep: function(ids str [n], starts int [n] or None, scores float32 [n, C]), called with the rows in their order, on a
                thread of its own: a batch is kept while the next one is predicted.

        Returns:
            int64, rows of each of the job's shards.

        Raises:
            UserError: a bad shard, or one that the store has from another file of that name.
        """
        index, count = self._job.worker or (0, 1)
        mine = self.files[index::count]
        done = {path for path in mine if self.store and self.store.has(path)}
        if done:
            print(f"{len(done)} of {len(mine)} shards are in {self._job.scores_output} already.")
        todo = [path for path in mine if path not in done]
        batches = shard_batches(self._scorer.spec(), todo, self._job.batch_size, self._job.num_readers)
        sizes = np.zeros(len(mine), np.int64)
        with (
            errors_as_user_errors(),
            ThreadPoolExecutor(1) as thread,
            Progress(f"Scoring {self._scorer.kind}", sum(map(size_of, todo))) as progress,
        ):
            put = _OneBehind(thread, keep or _forget)
            for number, path in enumerate(mine):
                if path not in done:
                    sizes[number] = self._score(*next(batches), put, progress.advance)
                else:
                    sizes[number] = self._read(path, put if keep else None)
            put.wait()
        self._finish(bool(done))
        return sizes

    def _score(self, path, batches, put, advance):
        """Scores a shard, into the store if there is one; returns its rows."""
        size, count, source = size_of(path), 0, _Source()
        left = size
        with self.store.writer(path) if self.store else contextlib.nullcontext() as writer:
            for batch in batches:
                videos = np.array([name.decode() for name in batch["ids"].numpy()], object)
                for name in videos if self._job.output_file else ():
                    check_id(name, self._scorer.kind)
                rows, starts, scores = self._scorer.scores(batch)
                if writer:
                    scores = decode_scores(writer.add(videos[rows], starts, scores), self._job.scores_dtype)
                put(videos[rows], starts, scores)
                self._note(videos)
                source.add(videos)
                count += len(rows)
                self._videos += len(videos)
                if starts is not None:
                    self._left_out += len(segments_of(batch["num_frames"])[0]) - len(rows)
                    self._without += len(videos) - len(np.unique(rows))
                self._rows += len(rows)
                if not is_remote(path):
                    share = size * len(videos) / len(index_shard(path))
                    advance(share, f"{self._rows:,} {self._scorer.kind}")
                    left -= share
            if writer:
                writer.source = source.facts(path)
        advance(left, f"{self._rows:,} {self._scorer.kind}")
        return count

    def _read(self, path, put):
        """Takes a shard's scores from the store, or only checks it where there is no `put`; returns its rows."""
        stored = self.store.read(path)
        self._check_source(stored.ids, path)
        self._note(stored.videos())
        for block in stored_blocks(stored) if put else ():
            put(*block)
        return len(stored.ids)

    def _note(self, ids):
        """Notes the ids of videos, str [n]."""
        self._ids.append(np.array([hash(name) for name in ids], np.int64))

    def _check_source(self, ids, path):
        """Raises UserError if the store's shard is of another file than this one of its name (a remote one is not fetched)."""
        if is_remote(path):
            return
        shard, id_feature, source = open_shard(path), self._scorer.spec().id_feature, _Source()
        videos = [records.decode_context(shard.record(i), id_feature).id for i in range(len(shard))]
        source.add(videos)
        there, here = self.store.source(path), source.facts(path)
        missing = set(ids.tolist()) - set(videos)
        if missing or (there and {**here, "bytes": there.get("bytes") and here["bytes"]} != there):
            what = f"{path} has no video {min(missing)}" if missing else f"{path} has changed since it was scored"
            raise UserError(
                f"--scores_output={self._job.scores_output} has scores of another file of this name: {what}. Name another folder."
            )

    def _finish(self, some_were_done):
        """Prints what was done."""
        if not self._videos and not some_were_done and not self._job.worker:
            raise UserError(f"no record in --input_data_pattern='{self._job.pattern}': the shards are empty. Give other shards.")
        seconds = max(time.monotonic() - self._start, 1e-9)
        print(f"{self._rows:,} {self._scorer.kind} in {seconds:.1f} s ({self._rows / seconds:,.0f} a second)", flush=True)
        if self.store:
            print(f"Scores: {self._job.scores_output} has {len(self.store.shards()):,} shards.")
        ids = np.concatenate(self._ids)
        repeated = len(ids) - len(np.unique(ids))
        if repeated:
            print(f"{repeated:,} of {len(ids):,} videos have the id of an earlier one: the output cannot tell them apart.")
        if self._left_out:
            print(
                f"Left out at the videos' beginnings and ends: {self._left_out:,} segments; {self._without:,} of "
                f"{self._videos:,} videos have none left" + (" (of the shards scored now)." if some_were_done else ".")
            )


def stored_blocks(stored):
    """Yields (ids str [n], starts int [n] or None, scores float32 [n, C]) of StoredScores, in their order."""
    for begin in range(0, len(stored.ids), _STORED_ROWS_AT_A_TIME):
        rows = slice(begin, begin + _STORED_ROWS_AT_A_TIME)
        yield stored.ids[rows], None if stored.starts is None else stored.starts[rows], stored.scores(rows)


class _OneBehind:
    """Calls a function on a thread, one call behind: a call waits for the one before, and raises what that raised."""

    def __init__(self, thread, function):
        self._thread, self._function, self._last = thread, function, None

    def __call__(self, *arguments):
        self.wait()
        self._last = self._thread.submit(self._function, *arguments)

    def wait(self):
        """Waits for the last call."""
        if self._last is not None:
            self._last.result()


class _Source:
    """What tells a shard from others of its name: how many videos it has, their ids, and its size."""

    def __init__(self):
        self._count, self._crc = 0, 0

    def add(self, videos):
        """Notes videos, in their order: str [n]."""
        self._count += len(videos)
        for name in videos:
            self._crc = zlib.crc32(name.encode() + b"\0", self._crc)

    def facts(self, path):
        """It in JSON's types: the CRC-32 is of the ids, the bytes of a remote shard are None."""
        return {"videos": self._count, "ids": self._crc, "bytes": None if is_remote(path) else version(path)[0]}


def _forget(ids, starts, scores):
    """Keeps nothing: the store has the scores."""


def size_of(path):
    """What a shard weighs in the work: the bytes of a local one, 1 of a remote one."""
    return 1 if is_remote(path) else max(version(path)[0], 1)
