"""Memory of an M-step's batches: 512 videos of 60 segments, 3,862 classes.

Reads the batches of all segments with pseudo-labels for a sequence model, as training does, and says how much the process
grows at most; with OLD_CHECKOUT, beside the code there. Frames are small here, so that it is about labels: real ones are 177 MB
a batch beside them. --train takes two steps of a logistic model, too, on 7,680 segments each, a quarter of the batch: there
predictions and gradients are [N, C] floats on the device, and labels for the time of a step; on a CPU the device is the host.

Measured on 2 busy CPU cores with TensorFlow 2.21, labels as [N, C] floats and as pairs:
reading 2,372 MB and 58 MB (again: 2,221 and 56), training on a quarter 2,181 MB and 1,537 MB.
"""

import os
import pathlib
import resource
import subprocess
import sys
import tempfile

import numpy as np

VIDEOS, FRAMES, CLASSES, SIZE, LABELS = 512, 300, 3862, 8, 3


def write(folder, shards=4):
    """Shards of videos of full length, each with a sidecar of LABELS labels a segment."""
    from yt8m.readers import records
    from yt8m.readers.sidecars import SidecarHeader, write_sidecar

    rng, starts = np.random.default_rng(0), np.repeat(np.arange(0, FRAMES, 5), LABELS)
    for shard in range(shards):
        ids = [f"{shard}{number:04d}" for number in range(VIDEOS // shards)]
        labels = [np.concatenate([rng.choice(CLASSES, LABELS, replace=False) for _ in range(FRAMES // 5)]) for _ in ids]
        frames = rng.integers(0, 256, (len(ids), FRAMES, SIZE), np.uint8)
        videos = [records.Video(id, {"rgb": part}, np.arange(LABELS), None) for id, part in zip(ids, frames)]
        name = f"train{shard:04d}.tfrecord"
        records.write_shard(folder / name, map(records.encode_video, videos))
        segments = [records.Segments(starts, starts + 5, part, np.ones(len(part), np.float32)) for part in labels]
        write_sidecar(folder / "labels", SidecarHeader(name, len(ids), CLASSES, None, True), zip(ids, segments))


def read(folder):
    """Takes four batches of whole videos, with all their segments."""
    from yt8m.readers.batches import training_batches
    from yt8m.readers.spec import VideosWithSegments

    spec = VideosWithSegments(
        f"{folder}/train*.tfrecord", ("rgb",), (SIZE,), num_classes=CLASSES, all_segments=True, annotations=f"{folder}/labels"
    )
    segments = sum(len(batch["start_times"]) for batch in training_batches(spec, VIDEOS, seed=1).take(4))
    assert segments == 4 * VIDEOS * FRAMES // 5


def train(folder):
    """Takes two steps on a quarter of the segments."""
    from yt8m import config
    from yt8m.stages.mstep import mstep

    model = config.ModelConfig("FrameLevelLogisticModel", feature_names=("rgb",), feature_sizes=(SIZE,), num_classes=CLASSES)
    rate = {"base_learning_rate": 0.01, "learning_rate_decay": 1.0, "learning_rate_decay_examples": 1e6}
    run = config.TrainConfig(
        f"{folder}/run", "mstep", f"{folder}/train*.tfrecord", VIDEOS * FRAMES // 20, **rate, max_steps=2,
        pseudo_labels=f"{folder}/labels", start_new_model=True,
    )  # fmt: skip
    mstep(run, model)


def growth(folder, part):
    """Megabytes by which this process has grown at most while it did a part."""
    import tensorflow  # noqa: F401

    import yt8m.models  # noqa: F401

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    {"read": read, "train": train}[part](folder)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3


def in_checkout(checkout, folder, part):
    """The growth of a process of its own that uses a checkout's code."""
    command = [sys.executable, os.path.abspath(__file__), "--part", part, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(checkout), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()[-1])


def main():
    import report

    parser = report.arguments(__doc__)
    parser.add_argument("old_checkout", nargs="?")
    parser.add_argument("--train", action="store_true", help="train, too (about 6 GB)")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        write(pathlib.Path(folder))
        for part in ("read", "train")[: 2 if options.train else 1]:
            now = in_checkout(pathlib.Path(__file__).parent.parent, folder, part)
            old = in_checkout(options.old_checkout, folder, part) if options.old_checkout else None
            baseline = (options.old_checkout, old, old / now) if old else ()
            rows.append(report.row(f"an M-step's batches: {part}", now, "MB", *baseline))
    report.show("Growth of a process at most", rows, options.json)


if __name__ == "__main__":
    if "--part" in sys.argv:
        print(growth(sys.argv[3], sys.argv[2]))
    else:
        main()
