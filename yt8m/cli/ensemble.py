"""Makes one of several runs' scores, or of several submissions.

  yt8m ensemble scores/a scores/b scores/c --output_file=submission.csv
  yt8m ensemble scores/a scores/b --fit_on='DATA/validate*.tfrecord' --weights_output=weights.json
  yt8m ensemble a.csv b.csv --output_file=submission.csv

Members are folders of scores (yt8m inference --scores_output) or submission files (Class,Segments); see docs/ensembles.md.
"""

from yt8m.cli.command import ArgumentCommand, Arguments


def arguments():
    """Parser of the command's arguments."""
    parser = Arguments()
    add = parser.add_argument
    add("members", nargs="+", help="Folders of scores, or submission CSV files.")
    add("--output_file", help="Submission CSV to write.")
    add("--scores_output", help="Folder to write the mean to, as scores again (members: folders; method mean or geometric).")
    add("--method", help="mean: of the scores; geometric: their geometric mean; rank: of the ranks within a class; hyperbolic: "
        "of points w0 / (w0 + rank). Default: mean of folders, rank of files.")  # fmt: skip
    add("--half_rank", type=float, help="w0 of --method=hyperbolic: the rank, from 0, that gets half a point. Default: 6.06.")
    add("--weights", help="One a member (1,2,1), or a .json file of --weights_output. Default: all the same.")
    add("--fit_on", help="Rated shards whose segments the members scored: weights for each class are fitted on them.")
    add("--fit_prior", type=float, help="Ratings that pull a class's weights to equal ones. Default: 30.")
    add("--weights_output", help="JSON file for the fitted weights.")
    add("--eval_data_pattern", help="Rated shards on which each member, the ensemble, and it without each member are compared.")
    add("--report_output", help="JSON file for that comparison.")
    add("--segment_label_ids_file", help="File or URL of the label ids to take. Default: all that the first member has.")
    add("--max_pred", type=int, help="Segments a class to write. Default: 100000.")
    add("--id_feature", help="Name of a record's id in the rated shards. Default: id.")
    return parser


def main(options):
    """Makes the ensemble."""
    from yt8m.ensembles import command

    command.run(options)


COMMAND = ArgumentCommand(__doc__, arguments, main)
