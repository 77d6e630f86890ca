"""Features of the user's own files, as `yt8m features` makes them."""

import os

from yt8m import commands, flags
from yt8m.errors import UserError
from yt8m.features import demo, extract, outputs
from yt8m.features.extraction import Settings
from yt8m.folders import cache_folder
from yt8m.readers.failures import errors_as_user_errors
from yt8m.recipes import checks

_SETTINGS = ("max_frames", "missing_audio", "missing_video")


@errors_as_user_errors()
def extract_features(**given):
    """Turns video and sound files into native frame-level shards, and prints what came out and what can be run next.

    Args:
        **given: flags of `yt8m features` by name, e.g. input_videos="clips/", output_dir="features/", backbone="sketch".

    Returns:
        features.extract.Features: the folder, and which files failed.

    Raises:
        UserError: an unknown flag, a bad value, bad input, a folder of other features or that cannot be written.
    """
    given = flags.read(flags.FEATURES, given)
    checks.positive(given, "max_frames", "num_shards", "num_workers")
    mediapipe = given.pop("from_mediapipe", None)
    if mediapipe:
        _check_alone(given, f"--from_mediapipe={mediapipe}", ("input_videos", "demo", "backbone", "weights_dir", "whitening"))
        given |= {"input_videos": mediapipe, "from_mediapipe": True}
    is_demo = given.pop("demo", not given.get("input_videos"))
    if not (is_demo or given.get("input_videos")):
        raise UserError("--nodemo, and --input_videos is not given. Name a folder, a file, a glob or a CSV file.")
    if is_demo:
        _add_demo(given)
    if not given.get("output_dir"):
        raise UserError("--output_dir is not given. Name the folder of the features.")
    given["output_dir"] = os.path.expanduser(given["output_dir"])
    settings = Settings(**{name: given.pop(name) for name in _SETTINGS if name in given})
    if given.get("backbone", "sketch") == "sketch" and not mediapipe:
        print("Backbone sketch: a stand-in that sees colours and edges, no things. For trying the path.", flush=True)
    features = extract.run(extract.Job(**given, settings=settings))
    _say(features)
    _say_next(features, is_demo)
    return features


def _add_demo(given):
    """The flags of the demo: its clips, with labels and ratings, which are made if they are not there."""
    _check_alone(given, "--demo", ("input_videos", "segments_csv", "vocabulary"))
    given.setdefault("output_dir", str(cache_folder("demo")))
    clips = demo.ensure_clips(os.path.join(os.path.expanduser(given["output_dir"]), "clips"))
    given |= {"input_videos": clips.videos_csv, "segments_csv": clips.segments_csv}


def _check_alone(given, flag, others):
    """Raises a UserError for a flag beside which these others mean nothing."""
    for name in others:
        if given.get(name):
            raise UserError(f"--{name}={given[name]} and {flag} do not go together. Leave one of them out.")


def _say(features):
    """Says what is in the folder, and what is not."""
    facts = features.videos.values()
    splits = ", ".join(f"{count} {name}" for name, count in features.splits.items())
    print(f"{len(facts)} videos ({splits}), {sum(fact.frames for fact in facts):,} seconds: {features.folder}")
    silent = sum(not fact.has_audio for fact in facts)
    if silent:
        print(f"{silent} of them have no sound: every second of it is silence (--missing_audio).")
    if features.skipped:
        print(f"{len(features.skipped)} files were left out as the flags say, see {outputs.FAILED}.")
    if features.failed:
        print(f"{len(features.failed)} failures, see {os.path.join(features.folder, outputs.FAILED)}, such as:")
        line = f"  {features.failed[0][0]}: {features.failed[0][1]}"
        print(line.encode(errors="backslashreplace").decode())  # names of files may be no UTF-8


def _say_next(features, is_demo):
    """Says how to train on the features, and how to look at what the model finds."""
    if not {"train", "validate"} <= features.splits.keys():
        return
    run = os.path.join(features.folder, "model")
    if is_demo:
        how = {"model": "FrameLevelLogisticModel", "max_steps": 300, "batch_size": 16}
        train = commands.command("train", "segment_labels", flagfile=features.flags_file, train_dir=run, **how)
    else:
        train = commands.command("train", flagfile=features.flags_file, train_dir=run, model="AttentionModel")
    commands.show_next(
        train,
        commands.command(
            "timeline",
            train_dir=run,
            input_data_pattern=os.path.join(os.path.abspath(features.folder), "*.tfrecord"),
            output_dir=os.path.join(features.folder, "timelines"),
        ),
    )
