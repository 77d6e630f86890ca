"""A model as TensorFlow functions of fixed signatures: what a SavedModel of it offers."""

import tensorflow as tf

from yt8m import models
from yt8m.segments import BYTES_PER_UNIT, MAX_VALUE, MIN_VALUE, OFFSET, SCALE, SEGMENT_SIZE


def segment_windows(frames, num_frames, expansion):
    """segments.window_indices and the windows themselves, in TensorFlow.

    Args:
        frames: uint8 [B, T, D].
        num_frames: int32 [B], at most T.
        expansion: frames added on either side of a segment.

    Returns:
        segments int32 [N, 2], (video, number of the segment) of the N segments that have a real frame, videos in order and
        segments in order of time; windows uint8 [N, W, D], W = 5 + 2 expansion, zeros behind the real frames; counts int32 [N].
    """
    length = tf.shape(frames)[1]
    numbers = tf.range(-(-length // SEGMENT_SIZE))  # [S]
    segments = tf.cast(tf.where(numbers[None, :] * SEGMENT_SIZE < num_frames[:, None]), tf.int32)
    rows, starts = segments[:, 0], segments[:, 1] * SEGMENT_SIZE
    first = tf.maximum(starts - expansion, 0)
    counts = tf.minimum(starts + SEGMENT_SIZE + expansion, tf.gather(num_frames, rows)) - first
    offsets = tf.range(SEGMENT_SIZE + 2 * expansion)[None, :]
    real = offsets < counts[:, None]  # [N, W]
    indices = (rows * length + first)[:, None] + tf.where(real, offsets, 0)
    windows = tf.gather(tf.reshape(frames, [-1, frames.shape[2]]), indices)
    return segments, tf.where(real[:, :, None], windows, tf.zeros([], tf.uint8)), counts


def mean_features(frames, num_frames):
    """segments.mean_features in TensorFlow: uint8 [N, W, D] and how many frames are real [N] -> float32 [N, D]."""
    real = tf.range(tf.shape(frames)[1])[None, :] < num_frames[:, None]
    sums = tf.reduce_sum(tf.where(real[:, :, None], tf.cast(frames, tf.float32), 0.0), axis=1)
    means = sums / tf.cast(tf.maximum(num_frames, 1), tf.float32)[:, None]
    return means * SCALE + OFFSET


def quantized(features):
    """Features as the dataset's bytes: float in [-2, 2] -> uint8, as the starter's feature extractor rounds them.

    What was dequantised from bytes comes back as the same bytes.
    """
    return tf.cast((tf.clip_by_value(features, MIN_VALUE, MAX_VALUE) - MIN_VALUE) * BYTES_PER_UNIT, tf.uint8)


def window_probabilities(model, windows, counts):
    """float32 [N, C] of windows uint8 [N, W, D] with their real frames int32 [N], by a frame- or video-level model."""
    if model.KIND == "video":
        return models.predict(model, {"features": mean_features(windows, counts)})
    return models.predict(model, {"frames": windows, "num_frames": counts})


def segment_probabilities(model, frames, num_frames, expansion=0):
    """The scores of predict.segment_scores in one TensorFlow graph.

    Args:
        model: of any kind; a context is encoded once a video, a sequence model reads each video once.
        frames: uint8 [B, T, D].
        num_frames: int32 [B], at most T.
        expansion: frames added on either side of a segment.

    Returns:
        float32 [B, S, C], S = ceil(T / 5); 0 past a video's end.
    """
    segments, windows, counts = segment_windows(frames, num_frames, expansion)
    if model.KIND in ("frame", "video"):
        scores = window_probabilities(model, windows, counts)
    else:
        batch = {"segment_rows": segments[:, 0], "start_times": segments[:, 1] * SEGMENT_SIZE}
        if model.KIND == "sequence":
            batch |= {"frames": frames, "num_frames": num_frames}
        else:
            batch |= {"frames": windows, "num_frames": counts, "context_frames": frames, "context_num_frames": num_frames}
        scores = models.predict(model, batch)  # [N, C]
    slots = -(-tf.shape(frames)[1] // SEGMENT_SIZE)
    return tf.scatter_nd(segments, scores, tf.stack([tf.shape(frames)[0], slots, scores.shape[1]]))


def top_segments(probabilities, num_frames, label_ids, columns, top_k):
    """The best (segment, class) pairs of each video.

    Args:
        probabilities: float32 [B, S, C].
        num_frames: int32 [B].
        label_ids, columns: the n classes that take part, and the columns of the probabilities that they are.
        top_k: K, pairs a video.

    Returns:
        dict of `start_times` int32, `class_ids` int32 and `scores` float32, all [B, K], scores falling; equal ones in the order
        of start times, then of label_ids. Where a video has fewer pairs, the rest is -1, -1 and 0.
    """
    scores = tf.gather(probabilities, tf.constant(columns, tf.int32), axis=2)  # [B, S, n]
    real = tf.range(tf.shape(scores)[1])[None, :] * SEGMENT_SIZE < num_frames[:, None]
    flat = tf.reshape(tf.where(real[:, :, None], scores, -1.0), [tf.shape(scores)[0], -1])  # [B, S, n] -> [B, S n]
    best, at = tf.math.top_k(tf.pad(flat, [[0, 0], [0, top_k]], constant_values=-1.0), top_k)
    there = best >= 0
    return {
        "start_times": tf.where(there, at // len(columns) * SEGMENT_SIZE, -1),
        "class_ids": tf.where(there, tf.gather(tf.constant(label_ids, tf.int32), at % len(columns)), -1),
        "scores": tf.where(there, best, 0.0),
    }


def serving(model, config, label_ids, columns, top_k=20):
    """The signatures that score segments.

    Args:
        model: BaseModel.
        config: its ModelConfig; later frames than max_frames are not looked at, as in inference.
        label_ids, columns: classes that take part in the top segments, and the model's columns that they are.
        top_k: K.

    Returns:
        dict of tf.function, both of `frames` uint8 [B, T, D], any T, and `num_frames` int32 [B]:
        `serving_default` -> top_segments' dict; `segments` -> `probabilities` float32 [B, S, C] of all the model's classes,
        S = ceil(min(T, max_frames) / 5), 0 past a video's end, and `num_segments` int32 [B].
    """
    inputs = [
        tf.TensorSpec([None, None, sum(config.feature_sizes)], tf.uint8, name="frames"),
        tf.TensorSpec([None], tf.int32, name="num_frames"),
    ]

    def scored(frames, num_frames):
        frames, num_frames = first_frames(frames, num_frames, config.max_frames)
        return segment_probabilities(model, frames, num_frames, config.segment_expansion), num_frames

    @tf.function(input_signature=inputs)
    def top(frames, num_frames):
        probabilities, num_frames = scored(frames, num_frames)
        return top_segments(probabilities, num_frames, label_ids, columns, top_k)

    @tf.function(input_signature=inputs)
    def segments(frames, num_frames):
        probabilities, num_frames = scored(frames, num_frames)
        return {"probabilities": probabilities, "num_segments": -(-num_frames // SEGMENT_SIZE)}

    return {"serving_default": top, "segments": segments}


def first_frames(frames, num_frames, max_frames):
    """At most max_frames of each video's frames; num_frames no more than there are."""
    frames = frames[:, :max_frames]
    return frames, tf.clip_by_value(num_frames, 0, tf.shape(frames)[1])


def whole_videos(model, config, frames, num_frames):
    """float32 [B, C] of whole inputs, uint8 [B, T, D] and int32 [B], whatever their length; not for context models."""
    return window_probabilities(model, *first_frames(frames, num_frames, config.max_frames))


def mediapipe(model, config):
    """The signature of the starter's export_model_mediapipe.py, which MediaPipe's youtube8m graphs call.

    `rgb_and_audio` float32 [B, T, D], dequantised features in [-2, 2], and `num_frames` int32 [B, 1] -> `predictions` float32
    [B, C], for what is in the input as a whole: in MediaPipe's graphs a window of a video. As there, one row of num_frames may
    stand for all. Names, types and shapes are those of the starter's code, except that D is the model's own. The features are
    put into the dataset's bytes again, since that is what models here take; what comes from the dataset loses nothing.

    Args:
        model: of any kind but context.
        config: its ModelConfig.

    Returns:
        tf.function.
    """
    inputs = [
        tf.TensorSpec([None, None, sum(config.feature_sizes)], tf.float32, name="rgb_and_audio"),
        tf.TensorSpec([None, 1], tf.int32, name="num_frames"),
    ]

    @tf.function(input_signature=inputs)
    def predict(rgb_and_audio, num_frames):
        frames = quantized(rgb_and_audio)
        num_frames = tf.broadcast_to(num_frames[:, 0], tf.shape(frames)[:1])
        return {"predictions": whole_videos(model, config, frames, num_frames)}

    return predict


def starter(model, config, top_k=20):
    """The signature of the starter's export_model.py: serialised records in, each video's best classes out.

    `example_bytes` string [B]: records as the model was trained on them, tf.train.SequenceExample (frame level) or
    tf.train.Example (video level) -> `video_id` string, `class_indexes` int32 and `predictions` float32, best first. As in the
    starter, whose frame-level reader makes a batch of each record, these are [B, 1], [B, 1, K] and [B, 1, K] for frame-level
    records and [B], [B, K] and [B, K] for video-level ones. class_indexes are label ids. (The starter has it as
    `serving_default`, which here is the one on frames.)

    Args:
        model: of any kind but context.
        config: its ModelConfig.
        top_k: K, classes a video; all that there are if these are fewer.

    Returns:
        tf.function.
    """
    label_ids = tf.constant(config.label_ids or range(config.num_classes), tf.int32)
    parse = _parsed_frames if config.frame_features else _parsed_features

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="example_bytes")])
    def predict(example_bytes):
        ids, parsed = parse(config, example_bytes)
        scores = whole_videos(model, config, *parsed) if config.frame_features else models.predict(model, {"features": parsed})
        best, at = tf.math.top_k(scores, min(top_k, config.num_outputs))
        outputs = {"video_id": ids, "class_indexes": tf.gather(label_ids, at), "predictions": best}
        return {name: tf.expand_dims(x, 1) for name, x in outputs.items()} if config.frame_features else outputs

    return predict


def _parsed_features(config, serialized):
    """(ids string [B], features float32 [B, D]) of video-level records."""
    wanted = {name: tf.io.FixedLenFeature([size], tf.float32) for name, size in zip(config.feature_names, config.feature_sizes)}
    parsed = tf.io.parse_example(serialized, {config.id_feature: tf.io.FixedLenFeature([], tf.string), **wanted})
    return parsed[config.id_feature], tf.concat([parsed[name] for name in config.feature_names], axis=1)


def _parsed_frames(config, serialized):
    """(ids string [B], (frames uint8 [B, T, D], num_frames int32 [B])) of frame-level records."""
    context, sequences, lengths = tf.io.parse_sequence_example(
        serialized,
        {config.id_feature: tf.io.FixedLenFeature([], tf.string)},
        {name: tf.io.FixedLenSequenceFeature([], tf.string) for name in config.feature_names},
    )
    features = []
    for name, size in zip(config.feature_names, config.feature_sizes):
        sizes = tf.strings.length(sequences[name])
        check = tf.debugging.Assert(tf.reduce_all((sizes == size) | (sizes == 0)), [f"{name}: not {size} bytes a frame", sizes])
        with tf.control_dependencies([check]):  # decode_raw would cut or fill
            features.append(tf.io.decode_raw(sequences[name], tf.uint8, fixed_length=size))
    num_frames = tf.cast(lengths[config.feature_names[0]], tf.int32)
    return context[config.id_feature], (tf.concat(features, axis=2), num_frames)
