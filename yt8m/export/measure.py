"""What an exported model costs: MAP over rated segments, and how far its predictions are from the Keras model's."""

import dataclasses

import numpy as np

from yt8m.metrics.segments import segment_metrics_from_pairs
from yt8m.readers import datasets
from yt8m.segments import mean_features
from yt8m.training.data import frame_spec
from yt8m.training.predict import make_predict


def rated_videos(config, pattern, flag):
    """DataSpec of rated segments in their videos, whatever the model takes."""
    return dataclasses.replace(
        frame_spec(config, pattern, pattern_flag=flag),
        as_video_features=False,
        segment_labels=True,
        context=True,
        segment_expansion=config.segment_expansion,
    )


def batches(spec, batch_size):
    """Batches as numpy arrays."""
    for batch in datasets.evaluation_batches(spec, batch_size, num_parallel=1):
        yield {key: value.numpy() for key, value in batch.items()}


def keras_scorer(model):
    """Function of a batch of rated videos -> float32 [N, C] by the Keras model, as in evaluation."""
    predict = make_predict(model)

    def score(batch):
        if model.KIND == "video":
            return predict({"features": mean_features(batch["frames"], batch["num_frames"])})
        if model.KIND == "sequence":
            return predict({**batch, "frames": batch["context_frames"], "num_frames": batch["context_num_frames"]})
        return predict(batch)

    return score


def measure(rows, config, options):
    """Fills in MAP over the rated segments of --eval_data_pattern and the largest difference from the Keras model's predictions.

    Args:
        rows: list of Exported, the Keras model first.
        config: ModelConfig.
        options: ExportConfig.
    """
    rows = [row for row in rows if row.score is not None]
    scores, pairs, differences = {row.format: [] for row in rows}, [], dict.fromkeys((row.format for row in rows), 0.0)
    for batch in batches(rated_videos(config, options.eval_data_pattern, "eval_data_pattern"), options.batch_size):
        at = np.nonzero(batch["label_weights"])
        pairs.append((at[1], batch["labels"][at]))
        expected = rows[0].score(batch)
        for row in rows:
            predicted = expected if row is rows[0] else row.score(batch)
            scores[row.format].append(predicted[at])
            differences[row.format] = max(differences[row.format], float(np.abs(predicted - expected).max()))
    classes, labels = (np.concatenate(part) for part in zip(*pairs))
    for row in rows:
        metrics = segment_metrics_from_pairs(classes, np.concatenate(scores[row.format]), labels, config.num_outputs)
        row.map, row.max_difference = metrics["map"], differences[row.format]
