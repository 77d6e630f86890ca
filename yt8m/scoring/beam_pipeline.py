"""The pipeline behind `yt8m beam`; needs Apache Beam.

Equal scores are ranked by the order of the segments in the sorted list of shards, as everywhere. A segment's index is its
shard's number in that list, above its row in the shard: no worker has to know how many segments the other shards have.
"""

import dataclasses
import os
import re
import shutil
import tempfile

import apache_beam as beam
import numpy as np
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions

from yt8m.config import read_model_config
from yt8m.errors import UserError
from yt8m.features import origin
from yt8m.readers.failures import errors_as_user_errors, user_error_from
from yt8m.readers.index import is_remote
from yt8m.readers.patterns import match_files
from yt8m.readers.shard_batches import shard_batches
from yt8m.scoring.classes import scored_label_ids
from yt8m.scoring.scorer import Member, Scorer
from yt8m.scoring.submission import check_id, write_submission
from yt8m.scoring.topk import TopSegments
from yt8m.training import restore


@dataclasses.dataclass(frozen=True)
class Ensemble:
    """What a worker needs to restore the models; a few names and numbers, sent to each of them.

    Attributes:
        train_dirs: runs of train.py.
        weights: of their probabilities.
        label_ids: of the classes to score; (): not known yet.
        shifts, skip_head, skip_tail: as Scorer's.
    """

    train_dirs: tuple
    weights: tuple
    label_ids: tuple = ()
    shifts: int = 0
    skip_head: int = 0
    skip_tail: int = 0

    def with_label_ids(self, ids_file):
        """This Ensemble with the label ids of a file, or of classes.scored_label_ids where none is given.

        Restores the models: what is wrong with them shows here.

        Raises:
            UserError: as restoring and Scorer.
        """
        members = self._members()
        label_ids = scored_label_ids([member.config for member in members], ids_file)
        return dataclasses.replace(self, label_ids=self._scorer(members, label_ids).label_ids)

    def scorer(self):
        """The Scorer of label_ids."""
        return self._scorer(self._members(), self.label_ids)

    def _members(self):
        return [_restored(folder, weight) for folder, weight in zip(self.train_dirs, self.weights)]

    def _scorer(self, members, label_ids):
        return Scorer(members, "segments", label_ids, self.shifts, self.skip_head, self.skip_tail)


class ScoreShard(beam.DoFn):
    """(number, path) of a shard -> (column, (scores float32 [n], index of the first)) a class and batch; the tagged output
    `names` has (number, segment names [N]) a shard."""

    def __init__(self, ensemble, batch_size, row_bits):
        self._ensemble, self._batch_size, self._row_bits = ensemble, batch_size, row_bits

    def setup(self):
        """Restores the models, once a worker."""
        self._scorer = self._ensemble.scorer()

    def process(self, shard):
        number, path = shard
        first, names, count = number << self._row_bits, [], 0
        with errors_as_user_errors():
            for _, batches in shard_batches(self._scorer.spec(), [path], self._batch_size):
                for batch in batches:
                    videos = [name.decode() for name in batch["ids"].numpy()]
                    for name in videos:
                        check_id(name)
                    rows, starts, scores = self._scorer.scores(batch)
                    names.append(np.array([f"{videos[row]}:{start}" for row, start in zip(rows, starts)], dtype=str))
                    if count + len(rows) >= 1 << self._row_bits:
                        raise UserError(f"shard {path} has more than {(1 << self._row_bits) - 1} segments: divide it.")
                    for column, of_class in enumerate(np.ascontiguousarray(scores.T)):
                        yield column, (of_class, first + count)
                    count += len(rows)
        yield beam.pvalue.TaggedOutput("names", (number, np.concatenate([np.zeros(0, "U1"), *names])))


class Best(beam.CombineFn):
    """(scores, index of the first) of parts of a class -> the indices uint32 of its best, by falling score, then rising index.

    Args:
        capacity: how many.
    """

    def __init__(self, capacity):
        self._capacity = capacity

    def create_accumulator(self):
        return []  # (scores float32 [n], indices uint32 [n]) of parts

    def add_input(self, accumulator, part):
        scores, first = part
        accumulator.append((scores, (first + np.arange(len(scores))).astype(np.uint32)))
        crowded = 2 * sum(len(scores) for scores, _ in accumulator) > 3 * self._capacity
        return self.compact(accumulator) if crowded else accumulator

    def merge_accumulators(self, accumulators):
        return self.compact([part for accumulator in accumulators for part in accumulator])

    def compact(self, accumulator):
        if len(accumulator) < 2:
            return accumulator
        best = TopSegments(1, self._capacity)
        for scores, indices in accumulator:
            best.update(scores[:, None], indices)
        indices, scores = best.top(0)
        return [(scores, indices.astype(np.uint32))]

    def extract_output(self, accumulator):
        best = TopSegments(1, self._capacity)
        for scores, indices in accumulator:
            best.update(scores[:, None], indices)
        return best.top(0)[0].astype(np.uint32)


class Write(beam.DoFn):
    """Writes the submission; where the output is not a local file, TensorFlow's file systems take it there."""

    def __init__(self, output_file, label_ids, max_pred, row_bits):
        self._output_file, self._label_ids, self._max_pred, self._row_bits = output_file, label_ids, max_pred, row_bits

    def process(self, _, best, names):
        best, names = dict(best), dict(names)
        shards = [names[number] for number in range(len(names))]
        sizes = np.array([*map(len, shards)])
        if not sizes.sum():
            raise UserError("no record in --input_data_pattern: the shards are empty. Give other shards.")
        before, every = np.cumsum(sizes) - sizes, np.concatenate(shards)

        def ranked():
            for column in range(len(self._label_ids)):
                indices = best[column].astype(np.int64)
                yield every[before[indices >> self._row_bits] + (indices & ((1 << self._row_bits) - 1))]

        if not is_remote(self._output_file):
            write_submission(self._output_file, self._label_ids, ranked(), self._max_pred)
            return
        folder = tempfile.mkdtemp()
        try:
            local = os.path.join(folder, "submission.csv" + ".gz" * self._output_file.endswith(".gz"))
            write_submission(local, self._label_ids, ranked(), self._max_pred)
            tf.io.gfile.copy(local, self._output_file, overwrite=True)
        finally:
            shutil.rmtree(folder)


def run(ensemble, pattern, output_file, max_pred=100_000, batch_size=128, options=()):
    """Runs the pipeline and waits for its end.

    Args:
        ensemble: Ensemble with its label ids.
        pattern: frame-level shards.
        output_file: CSV.
        max_pred: segments a class.
        batch_size: videos at a time.
        options: arguments for Beam.

    Raises:
        UserError: no such shards, or what a worker found wrong with a shard.
    """
    files = match_files(pattern, "input_data_pattern")
    origin.check_scored([(read_model_config(folder).backbone, folder) for folder in ensemble.train_dirs], pattern)
    row_bits = 32 - (len(files) - 1).bit_length()
    options = PipelineOptions(list(options))
    try:
        with beam.Pipeline(options=options) as pipeline:
            scored = (
                pipeline
                | "Shards" >> beam.Create(list(enumerate(files)))
                | "Share out" >> beam.Reshuffle()
                | "Score" >> beam.ParDo(ScoreShard(ensemble, batch_size, row_bits)).with_outputs("names", main="scores")
            )
            best = scored.scores | "Best" >> beam.CombinePerKey(Best(max_pred))
            _ = (
                pipeline
                | beam.Create([None])
                | "Write"
                >> beam.ParDo(
                    Write(output_file, ensemble.label_ids, max_pred, row_bits),
                    best=beam.pvalue.AsIter(best),
                    names=beam.pvalue.AsIter(scored.names),
                )
            )
    except Exception as error:
        line = _line_of_a_worker(error)
        if line is None:
            raise
        raise UserError(line) from error
    print(f"Wrote {output_file}: the best segments of {len(ensemble.label_ids)} classes in {len(files)} shards.")


def _restored(train_dir, weight):
    """The Member of a run."""
    trained = restore.newest(train_dir)
    return Member(trained.model, trained.config, weight, trained.prefix)


def _line_of_a_worker(error):
    """The line of the UserError that a worker ended in, or None. Workers are processes: Beam brings their errors as text."""
    line = user_error_from(error)
    while line is None and error is not None:
        match = re.search(r"\bUserError: (.+)$", str(error), re.MULTILINE)
        line, error = match and match[1], error.__cause__
    return None if line is None else str(line).split(" [while running")[0].strip()
