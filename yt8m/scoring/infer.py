"""Inference over shards: every class's best segments, or every video's best classes, to a CSV."""

import dataclasses
import time

import numpy as np

from yt8m import models
from yt8m.errors import UserError
from yt8m.readers import datasets, labels
from yt8m.scoring import submission
from yt8m.scoring.predict import SEGMENT_SIZE, make_predict, segment_scores
from yt8m.scoring.topk import TopSegments
from yt8m.training.data import frame_spec, video_spec


def class_columns(config, ids_file):
    """(label ids to write, columns of the predictions that they are).

    Args:
        config: ModelConfig.
        ids_file: file or URL of label ids, or None: all classes that the model predicts.

    Raises:
        UserError: the file names a class that the model does not predict.
    """
    predicted = list(config.label_ids or range(config.num_classes))
    ids = list(labels.read_label_ids(ids_file)) if ids_file else predicted
    column = {label: index for index, label in enumerate(predicted)}
    missing = [label for label in ids if label not in column]
    if missing:
        raise UserError(
            f"--segment_label_ids_file={ids_file}: {len(missing)} of its {len(ids)} classes ({missing[0]}, ...) are none "
            f"of the model's {len(predicted)}. Name the file that goes with the model's data."
        )
    return ids, np.array([column[label] for label in ids])


def segments(model, config, pattern, output_file, ids_file=None, max_pred=100_000, batch_size=128):
    """Writes `Class,Segments`: for every class the best segments of all videos, at most max_pred.

    Args:
        model: Keras model.
        config: its ModelConfig.
        pattern: frame-level shards.
        output_file: CSV.
        ids_file: file or URL of the label ids to write; None: all.
        max_pred: segments a class.
        batch_size: videos at a time.
    """
    ids, columns = class_columns(config, ids_file)
    predict, best, progress = make_predict(model), TopSegments(len(ids), max_pred), Progress("segments")
    slots = -(-config.max_frames // SEGMENT_SIZE)
    videos = []
    spec = dataclasses.replace(frame_spec(config, pattern, pattern_flag="input_data_pattern"), as_video_features=False)

    def ranked():  # runs once the output file is open: one that cannot be written is refused before the scoring, not after
        for batch in datasets.evaluation_batches(spec, batch_size):
            rows, starts, scores = segment_scores(model, predict, batch, config.segment_expansion)
            best.update(scores[:, columns], (rows + len(videos)) * slots + starts // SEGMENT_SIZE)
            videos.extend(video.decode() for video in batch["ids"].numpy())
            progress.add(len(rows))
        progress.finish()
        for index in range(len(ids)):
            chosen, _ = best.top(index)
            yield [f"{videos[segment // slots]}:{segment % slots * SEGMENT_SIZE}" for segment in chosen.tolist()]

    submission.write_submission(output_file, ids, ranked(), max_pred)
    print(f"Wrote {output_file}: the best segments of {len(ids)} classes in {len(videos)} videos.")


def videos(model, config, pattern, output_file, top_k=20, batch_size=128):
    """Writes the starter's `VideoId,LabelConfidencePairs`: for every video the best top_k classes.

    Args: as for `segments`; `pattern` names shards of the kind that the model was trained on.
    """
    models.check_scores_videos(config.model)
    predict, progress = make_predict(model), Progress("videos")
    class_ids = list(config.label_ids or range(config.num_classes))
    with submission.write_video_predictions(output_file, class_ids, top_k) as write:
        for batch in datasets.evaluation_batches(video_spec(config, pattern, pattern_flag="input_data_pattern"), batch_size):
            ids = [video.decode() for video in batch["ids"].numpy()]
            write(ids, predict(batch))
            progress.add(len(ids))
    progress.finish()
    print(f"Wrote {output_file}: the best {min(top_k, len(class_ids))} classes of {progress.count} videos.")


class Progress:
    """Prints how many rows are done, at most once in `interval` seconds."""

    def __init__(self, unit, interval=10.0):
        self.unit, self.interval, self.count = unit, interval, 0
        self.start = self.shown = time.monotonic()

    def add(self, count):
        """Counts rows."""
        self.count += count
        if time.monotonic() - self.shown > self.interval:
            self.shown = time.monotonic()
            self.finish()

    def finish(self):
        """Prints the count and the rate."""
        seconds = time.monotonic() - self.start
        print(f"{self.count:,} {self.unit} in {seconds:.1f} s ({self.count / max(seconds, 1e-9):,.0f} a second)", flush=True)
