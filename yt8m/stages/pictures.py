"""Pictures of where a model looks and of where it finds a topic."""

import os

import numpy as np
import tensorflow as tf

from yt8m import models, plots
from yt8m.intervals import intervals
from yt8m.readers import batches
from yt8m.segments import SEGMENT_SIZE
from yt8m.training.data import frame_spec
from yt8m.training.names import class_names
from yt8m.training.predict import deciding_attention, make_predict, segment_scores


def first_videos(config, pattern, count):
    """The first videos of the shards, whole, as one batch with uint8 frames, whatever the model takes."""
    return next(iter(batches.evaluation_batches(frame_spec(config, pattern), count, num_parallel=1)))


def during_training(stage, config, model, count=4):
    """An action for the training loop: the attention over the frames of a few fixed videos, as TensorBoard images."""
    batch = first_videos(config, stage.data_pattern, count)
    titles = _with_topics(config, batch)
    writer = tf.summary.create_file_writer(os.path.join(stage.train_dir, "pictures"))

    def draw(step):
        weights = np.asarray(model.attention(models.model_inputs(model, batch)))  # [B, T, features, M]
        image = plots.attention_image(titles, weights, batch["num_frames"].numpy(), config.segment_feature_names)
        with writer.as_default(step=step):
            tf.summary.image("attention", image[None])
        writer.flush()

    return draw


def _with_topics(config, batch, most=3, longest=32):
    """Titles of a batch's videos: their ids and their topics by name, `most` of them, cut where they are too long."""
    names, ids, titles = class_names(config), config.label_ids or range(config.num_classes), []
    for video, labels in zip(batch["ids"].numpy(), batch["labels"].numpy()):
        topics = [names.get(ids[column]) or str(ids[column]) for column in np.flatnonzero(labels > 0)]
        text = ", ".join(topics[:most]) + (", ..." if len(topics) > most else "")
        text = text if len(text) <= longest else text[: longest - 3] + "..."
        titles.append(f"{video.decode()} ({text})" if topics else video.decode())
    return titles


def where(path, model, config, pattern, truth, names, columns, count=4, candidates=64):
    """Draws where the model finds a topic in a few videos, beside the truth; intervals as `yt8m timeline` makes them.

    Args:
        path: PNG file to write.
        model: Keras model.
        config: its ModelConfig.
        pattern: frame-level shards.
        truth: {video id: {label id: bool [S]}} for videos where the truth is known.
        names: {label id: class name}.
        columns: {label id: column of the predictions}.
        count: videos to draw.
        candidates: videos to choose from: the first ones whose topic is there for a part of the time.
    """
    batch = first_videos(config, pattern, candidates)
    ids = [name.decode() for name in batch["ids"].numpy()]
    rows, _, scores = segment_scores(model, make_predict(model), batch, config.segment_expansion)
    panels = []
    for row, video in enumerate(ids):
        num_frames = int(batch["num_frames"][row])
        topics = {label: there for label, there in truth.get(video, {}).items() if 0 < np.mean(there) < 0.7 and num_frames >= 30}
        for label, there in list(topics.items())[:1]:
            of_topic = scores[rows == row, columns[label]]
            looked = deciding_attention(model, batch["frames"].numpy()[row, :num_frames], [columns[label]])
            panels.append(
                plots.Panel(
                    video=video,
                    topic=names.get(label) or f"label {label}",
                    num_frames=num_frames,
                    scores=of_topic,
                    intervals=tuple((part.start, part.end) for part in intervals(of_topic, SEGMENT_SIZE, num_frames)),
                    truth=there,
                    attention=None if looked is None else looked[0],
                )
            )
        if len(panels) == count:
            break
    plots.where(path, panels)
