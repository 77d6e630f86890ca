"""Writes every class's best segments on an Apache Beam engine, for those who outgrow one machine.

  yt8m beam --train_dir=DIR --input_data_pattern='.../test*.tfrecord' --output_file=submission.csv

Every worker restores the models once and scores whole shards; the best of each class are combined exactly. The file is the one
that inference --segment_labels writes with the same flags, byte for byte. Without --runner the pipeline runs in this process;
with --direct_running_mode=multi_processing --direct_num_workers=N in N of them. Other arguments go to Beam, for instance those
of its runners for Flink, Spark or Dataflow: their workers need this package, the train_dirs and the shards within reach, and
the one that writes holds 4 bytes for each of the best segments (0.4 GB for 1,000 classes x 100,000).
"""

import argparse
import importlib.util
import os

from yt8m.cli.command import ArgumentCommand, Arguments
from yt8m.errors import UserError
from yt8m.files import check_writable

LOCAL_RUNNER = "apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner"
LEAST = {"segment_max_pred": 1, "batch_size": 1, "segment_shifts": 0, "skip_head_segments": 0, "skip_tail_segments": 0}


def main(options, beam_options):
    """Checks the arguments and runs the pipeline; beam_options: the arguments that are not this command's."""
    if importlib.util.find_spec("apache_beam") is None:
        raise UserError("Apache Beam is not installed. Run: pip install yt8m[beam]")
    from yt8m.recipes import sources
    from yt8m.scoring import beam_pipeline

    for name, least in LEAST.items():
        if getattr(options, name) < least:
            raise UserError(f"--{name}={getattr(options, name)}: must be {least} or more.")
    train_dirs = tuple(sources.folders_of_runs({"train_dir": options.train_dir}))
    ensemble = beam_pipeline.Ensemble(
        train_dirs,
        _weights(options.weights, len(train_dirs)),
        shifts=options.segment_shifts,
        skip_head=options.skip_head_segments,
        skip_tail=options.skip_tail_segments,
    ).with_label_ids(options.segment_label_ids_file)
    output = os.path.expanduser(options.output_file)
    _check_writable(output)
    _check_known(beam_options)
    beam_pipeline.run(
        ensemble,
        options.input_data_pattern,
        output,
        options.segment_max_pred,
        options.batch_size,
        _with_runner(beam_options),
    )


def arguments():
    """Parser of this command's own arguments."""
    parser = Arguments()
    parser.add_argument("--train_dir", required=True, help="run of train.py, or several with commas: an ensemble")
    parser.add_argument("--weights", help="of the ensemble's models, with commas; default: all the same")
    parser.add_argument("--input_data_pattern", required=True, help="frame-level shards: a glob, or several with commas")
    parser.add_argument("--output_file", required=True, help="CSV to write")
    parser.add_argument("--segment_label_ids_file", help="CSV of the label ids to write; default: as inference.py")
    parser.add_argument("--segment_max_pred", type=int, default=100_000, help="segments a class to write")
    parser.add_argument("--batch_size", type=int, default=128, help="videos at a time")
    parser.add_argument("--segment_shifts", type=int, default=0, help="average over windows moved by up to so many frames")
    parser.add_argument("--skip_head_segments", type=int, default=0, help="first segments of a video that are left out")
    parser.add_argument("--skip_tail_segments", type=int, default=0, help="last segments of a video that are left out")
    return parser


def _weights(text, count):
    """The models' weights from a comma list."""
    if text is None:
        return (1.0,) * count
    try:
        weights = tuple(float(weight) for weight in text.split(","))
    except ValueError as error:
        raise UserError(f"--weights={text}: expected numbers with commas between them.") from error
    if len(weights) != count:
        raise UserError(f"--weights={text}: {len(weights)} weights for {count} of --train_dir. Give one each.")
    return weights


def _check_writable(path):
    """Refuses an output that cannot be written before anything is scored."""
    if "://" in path:
        return
    check_writable(path, f"--output_file={path}")
    if os.path.isdir(path):
        raise UserError(f"--output_file={path}: is a folder. Name a file.")


def _with_runner(beam_options):
    """Beam's arguments, with a runner: its own default would fetch a program from the internet."""
    named = any(argument.split("=")[0] == "--runner" for argument in beam_options)
    return beam_options if named else [f"--runner={LOCAL_RUNNER}", *beam_options]


def _check_known(beam_options):
    """Raises UserError for an argument that no part of Beam defines."""
    from apache_beam.options.pipeline_options import PipelineOptions

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for part in PipelineOptions.__subclasses__():
        part._add_argparse_args(parser)
    _, unknown = parser.parse_known_args(list(beam_options))
    if unknown:
        raise UserError(f"{unknown[0]}: neither this tool nor Apache Beam has such an argument. See --help.")


COMMAND = ArgumentCommand(__doc__, arguments, main, passes_on=True, computes="inference")
