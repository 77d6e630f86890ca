"""The third descriptor of a segment: what a model of frames that was trained on videos alone makes of it."""

import numpy as np
from keras import ops

from yt8m.backend import dtype_policy
from yt8m.errors import UserError
from yt8m.features import origin
from yt8m.scoring.scorer import fingerprint
from yt8m.stages import learned, record
from yt8m.training import checkpoints, keras_files, restore

SEGMENTS_AT_A_TIME = 256


class SegmentEmbedding:
    """The embeddings of segments by a model that was pre-trained on videos.

    One that has learned ratings would know those that rankers are fitted on, and models of different folds have embeddings that
    cannot be compared: so it is a single run without a fine-tuning.

    Args:
        folder: of the run.
        features: frames.FrameFeatures of the shards.
        patterns: {flag: shards} that it will see.

    Attributes:
        size: E.
        fingerprint: of the model's weights.

    Raises:
        UserError: no run, one that was fine-tuned or whose model takes no such frames, or shards with features of another origin.
    """

    def __init__(self, folder, features, patterns):
        with dtype_policy():
            trained = restore.newest(folder)
        _check(folder, trained, features)
        for flag, pattern in patterns.items():
            origin.check_scored([(trained.config.backbone, f"--embedding_dir={folder}")], pattern, flag)
        self._model, self.size = trained.model, trained.model.encoder.output_shape[-1]
        self.fingerprint = fingerprint(trained.model)

    def __call__(self, windows, counts):
        """float32 [n, E] of segments' frames: uint8 [n, 5, D], and int [n], real ones."""
        embedded = [np.zeros((0, self.size), np.float32)]
        for first in range(0, len(windows), SEGMENTS_AT_A_TIME):
            some = slice(first, first + SEGMENTS_AT_A_TIME)
            batch = {"frames": windows[some], "num_frames": np.asarray(counts[some], np.int32)}
            batch = {name: ops.convert_to_tensor(values) for name, values in batch.items()}
            embedded.append(ops.convert_to_numpy(ops.cast(self._model.embed(batch), "float32")))
        return np.concatenate(embedded)


def _check(folder, trained, features):
    """Raises UserError for a run that was fine-tuned, or whose model does not take these frames."""
    model, config = trained.model, trained.config
    stages = set(record.noted(folder))
    if not keras_files.is_keras_file(trained.prefix):
        stages.add(checkpoints.position(trained.prefix)[1])
    ratings = learned.of_run(folder)
    if stages - {"pretrain"} or ratings.files:
        raise UserError(
            f"--embedding_dir={folder} was trained further than on videos, and of ratings that a model has learned it would tell "
            "the ranker. Name a run of --stage=pretrain alone."
        )
    if not ratings.whole:
        print(f"Note: nothing tells what {folder} was trained on. It must not have learned the ratings.", flush=True)
    if not (model.TAKES_FRAMES and model.SCORES_VIDEOS):
        raise UserError(f"--embedding_dir={folder} is a {config.model}. Name a run of a model of frames, such as GatedDbofModel.")
    theirs = tuple(config.segment_feature_names), tuple(config.feature_sizes)
    if theirs != (features.names, features.sizes):
        shown = [", ".join(f"{name} of {size}" for name, size in zip(*of)) for of in (theirs, (features.names, features.sizes))]
        raise UserError(f"--embedding_dir={folder} takes {shown[0]}, not {shown[1]}. Name a run that was trained on these.")
