"""Pseudo-labels from predictions: each class's best segments, and the worst ones of the same videos, as sidecars of the shards.

The predictions are a store of scores (inference.py --scores_output) or a submission (--submission_file), which has no scores.
See docs/methods/pseudo_labels.md.
"""

import dataclasses
import os

from yt8m import commands
from yt8m.errors import UserError
from yt8m.pseudo_labels.selection import Selection
from yt8m.pseudo_labels.stores import from_store
from yt8m.pseudo_labels.submissions import from_submission
from yt8m.pseudo_labels.writing import show, write
from yt8m.readers import labels, sidecars, stores
from yt8m.readers.patterns import match_files
from yt8m.readers.ratings import read_ratings
from yt8m.readers.spec import WholeVideos


def run(options):
    """Makes the sidecars that `yt8m pseudo-labels` was asked for; options: its options."""
    for name in ("scores", "submission_file", "output_dir"):
        setattr(options, name, getattr(options, name) and os.path.expanduser(getattr(options, name)))
    selection = Selection(**{field.name: getattr(options, field.name) for field in dataclasses.fields(Selection)})
    files = match_files(options.data_pattern)
    sidecars.check_destination(options.output_dir, files)
    ratings = None
    if options.eval_data_pattern:
        ratings = read_ratings(options.eval_data_pattern, options.id_feature, "eval_data_pattern")
    wanted = labels.read_label_ids(options.segment_label_ids_file) if options.segment_label_ids_file else None
    source = {"scores": options.scores or options.submission_file, **dataclasses.asdict(selection)}
    if options.scores:
        store = stores.open_store(options.scores)
        source["run"] = store.config.run
        label_ids = wanted or store.config.label_ids
        _check_classes(label_ids, options.num_classes)
        chosen = from_store(store, files, label_ids, selection, options.id_feature)
    else:
        spec = WholeVideos(options.data_pattern, options.feature_names.split(","), _integers(options.feature_sizes))
        features = spec.feature_names, spec.feature_sizes
        label_ids, chosen = from_submission(options.submission_file, files, wanted, selection, options.id_feature, *features)
        _check_classes(label_ids, options.num_classes)
    summary = write(options.output_dir, files, chosen, options.num_classes, label_ids, source, ratings)
    show(summary, ratings is not None)
    used = {"pseudo_labels": options.output_dir, "pseudo_data_pattern": options.data_pattern, "pseudo_share": 0.5}
    call = commands.command("train", stage="finetune", **used)
    print(f"Wrote {len(files)} sidecars to {options.output_dir}.")
    print(f"To learn from them: {call}, a pre-trained model's --train_dir, and as --train_data_pattern the rated shards.")


def _check_classes(label_ids, num_classes):
    if max(label_ids) >= num_classes:
        raise UserError(
            f"--num_classes={num_classes}: label id {max(label_ids)} was predicted. Use --num_classes={max(label_ids) + 1}."
        )


def _integers(text):
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise UserError(f"--feature_sizes={text}: expected integers, such as 1024,128.") from error
