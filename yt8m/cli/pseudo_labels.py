"""Makes pseudo-labels of predictions: each class's best segments and the worst of the same videos, as sidecars.

  yt8m pseudo-labels --scores=STORE --data_pattern='test*.tfrecord' --output_dir=DIR --top=1000

The predictions are a store of scores (inference.py --scores_output) or a submission (--submission_file), which has no scores.
See docs/methods/pseudo_labels.md.
"""

from yt8m.cli.command import ArgumentCommand, Arguments


def arguments():
    """Parser of the command's arguments."""
    parser = Arguments()
    predictions = parser.add_mutually_exclusive_group(required=True)
    predictions.add_argument("--scores", help="store of scores (inference.py --scores_output)")
    predictions.add_argument("--submission_file", help="Class,Segments CSV")
    parser.add_argument("--data_pattern", required=True, help="frame-level shards that were scored")
    parser.add_argument("--output_dir", required=True, help="folder of the sidecars; not the one of the shards")
    parser.add_argument("--top", type=int, default=1000, help="positives a class at most (%(default)s)")
    parser.add_argument("--negatives", type=int, help="negatives a class at most (as many as positives)")
    parser.add_argument("--min_score", type=float, default=0.0, help="least score of a positive")
    parser.add_argument("--soft", action="store_true", help="a positive's score is the stored one, not 1")
    parser.add_argument("--video_labels_only", action="store_true", help="only classes among the video's own labels")
    parser.add_argument("--segment_label_ids_file", help="file or URL of the classes (all that were predicted)")
    parser.add_argument("--num_classes", type=int, default=3862, help="label ids are below (%(default)s)")
    parser.add_argument("--eval_data_pattern", help="rated shards to compare the pseudo-labels with")
    parser.add_argument("--seed", type=int, default=0, help="of a submission's negatives")
    parser.add_argument("--id_feature", default="id", help="name of the id in the shards (%(default)s)")
    parser.add_argument("--feature_names", default="rgb,audio", help="features that count a video's seconds (%(default)s)")
    parser.add_argument("--feature_sizes", default="1024,128", help="their sizes (%(default)s)")
    return parser


def main(options):
    """Makes the sidecars."""
    from yt8m.pseudo_labels import command

    command.run(options)


COMMAND = ArgumentCommand(__doc__, arguments, main)
