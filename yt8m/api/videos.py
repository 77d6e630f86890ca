"""Features that are arrays already, as folders that training takes."""

import os

from yt8m import commands
from yt8m.errors import UserError
from yt8m.features import arrays
from yt8m.readers.failures import errors_as_user_errors


@errors_as_user_errors()
def write_videos(
    folder,
    videos,
    split=None,
    num_shards=16,
    vocabulary=None,
    extend_vocabulary=False,
    whitening=None,
    backbone="arrays",
):
    """Writes features that are arrays as native frame-level shards, with dataset.flags for `yt8m train`.

    Nothing is written before all videos have come and were found right. Their frames wait in a file without a name meanwhile, so
    that memory does not depend on how many there are; videos may be a generator.

    Args:
        folder: of the features. An earlier call's are replaced; its vocabulary stays, classes are never numbered anew.
        videos: iterable of dicts: "id", 1 to 64 of A-Z a-z 0-9 _ -; if there are any, "labels", names or ids of classes, and
            "ratings", (start in whole seconds, label, 0 or 1) of segments of 5 s; "split", the name of its split, if it shall not
            go by the id. Each other key is a feature, an array [T, D] with a row a second: of bytes (uint8, taken as they are) or
            of floats (clipped to [-2, 2] and quantised, yt8m.segments.quantise).
        split: shares of the splits, by a hash of the id: "train:.8,validate:.1,test:.1", which is the default where there are
            labels; else all is "test".
        num_shards: of each split; those without a video are not written.
        vocabulary: CSV with Index and Name of the classes; None: made of the labels' names, sorted, numbered from 0.
        extend_vocabulary: names that are not in the vocabulary are added behind the others.
        whitening: {feature: "fit", or a whitening file of an earlier call}, of floats: principal components with variance 1 in
            place of the values; "fit": all features of floats. A fitted one is kept in the folder, and used again.
        backbone: what made the features, a name; features of another are refused in this folder.

    Returns:
        yt8m.features.arrays.Dataset: yt8m.train(**dataset.flags) trains on it.

    Raises:
        UserError: a bad video, a label that is no class, a folder of other features, or one that cannot be written.
    """
    folder = os.path.expanduser(os.fspath(folder))
    if isinstance(num_shards, bool) or not isinstance(num_shards, int) or not 0 < num_shards < 100_000:
        raise UserError(f"num_shards={num_shards!r}: expected a whole number from 1 to 99,999.")
    vocabulary = None if vocabulary is None else os.fspath(vocabulary)
    options = arrays.Options(split, num_shards, vocabulary, extend_vocabulary, whitening, backbone)
    dataset, warnings = arrays.write(folder, videos, options)
    for line in warnings:
        print(line)
    counts = ", ".join(f"{count:,} {name}" for name, count in dataset.splits.items())
    print(f"{sum(dataset.splits.values()):,} videos ({counts}): {dataset.folder}", flush=True)
    if "train" in dataset.splits:
        train_dir = os.path.join(dataset.folder, "model")
        commands.show_next(commands.command("train", flagfile=dataset.flags_file, train_dir=train_dir, model="AttentionModel"))
    return dataset
