"""Scores videos that nobody rated, straight from a train_dir, or from several at once.

  python inference.py --segment_labels                  the latest sample run, on the sample's test shards
  python inference.py --segment_labels --input_data_pattern='.../test*.tfrecord' --train_dir=DIR --output_file=submission.csv
  python inference.py --segment_labels --train_dir=A,B,C --weights=1,2,1 ...     the weighted mean of three models
  python inference.py --input_data_pattern='.../test*.tfrecord' --train_dir=DIR --output_file=predictions.csv

With --segment_labels each class's best 5-second segments (Class,Segments), else each video's best classes
(VideoId,LabelConfidencePairs). --scores_output keeps all scores; --worker_index shares the work out.
"""

import os

from yt8m import flags
from yt8m.errors import UserError

SEGMENT_FLAGS = ("segment_shifts", "skip_head_segments", "skip_tail_segments")


def define(fv):
    """Flags of inference alone."""
    from absl.flags import DEFINE_bool, DEFINE_enum, DEFINE_integer, DEFINE_string

    group = {"flag_values": fv, "module_name": "Inference"}
    DEFINE_string("model", None, "Refuse any other model than this. Default: the train_dir's.", **group)
    text = "Use this checkpoint of the run; of several runs, one each, separated by commas. Default: the newest."
    DEFINE_string("checkpoint", None, text, **group)
    text = "CSV to write; --output_file= (empty): none, --scores_output alone. Default: predictions.csv in the (first) train_dir."
    DEFINE_string("output_file", None, text, **group)
    DEFINE_integer("top_k", 20, "Classes a video to write.", **group)
    DEFINE_integer("segment_max_pred", 100_000, "Segments a class to write.", **group)
    text = "Leave out so many segments at the beginning of each video. In YouTube-8M the first 6 are never rated (paper 002)."
    DEFINE_integer("skip_head_segments", 0, text, **group)
    DEFINE_integer("skip_tail_segments", 0, "The same at the end; there it is the last 2.", **group)
    text = "k: average the probabilities over the segment's window moved by -k, ..., k frames (test-time augmentation)."
    DEFINE_integer("segment_shifts", 0, text, **group)
    group["module_name"] = "Model bundle"
    text = "Also pack the model into this .tgz: model_flags.json and the checkpoint's weights."
    DEFINE_string("output_model_tgz", None, text, **group)
    text = "Use the model of a .tgz that --output_model_tgz wrote, in place of a --train_dir."
    DEFINE_string("input_model_tgz", None, text, **group)
    DEFINE_string("untar_model_dir", "/tmp/yt8m-model", "Folder that --input_model_tgz is extracted to.", **group)
    group["module_name"] = "Ensemble: --train_dir=A,B,C"
    text = "Weights of the models' probabilities, e.g. 1,2,1: one for each train_dir. Default: all the same."
    DEFINE_string("weights", None, text, **group)
    group["module_name"] = "Scores store"
    text = (
        "Folder for all scores of all segments (or videos), a memory-mappable file a shard. Shards that are there are not scored "
        "again. The CSV is then made from the scores as they are stored, quantised."
    )
    DEFINE_string("scores_output", None, text, **group)
    DEFINE_enum("scores_dtype", "uint16", ["uint16", "float16"], "uint16: round(score * 9999), as paper 002.", **group)
    group["module_name"] = "Workers"
    text = (
        "i: score shards i, i + n, ... of the sorted list only, and leave a partial result beside --output_file. All n workers "
        "get the same flags but this; any may be run again. Then --merge_workers. They may share a --scores_output."
    )
    DEFINE_integer("worker_index", None, text, **group)
    DEFINE_integer("num_workers", None, "n: how many workers there are.", **group)
    text = "Make the CSV from the partial results of all --num_workers: what one worker would have written, byte for byte."
    DEFINE_bool("merge_workers", False, text, **group)


def main(fv):
    """Scores and writes."""
    from yt8m.scoring import infer, workers
    from yt8m.scoring.classes import scored_label_ids
    from yt8m.training import bundle, restore

    check(fv)
    if fv.input_model_tgz:
        fv.train_dir = bundle.extract(fv.input_model_tgz, fv.untar_model_dir)
    needed = not (fv.merge_workers and fv.output_file)
    folders = [os.path.expanduser(folder.strip()) for folder in flags.train_dir(fv).split(",")] if needed else []
    output = os.path.join(folders[0], "predictions.csv") if fv.output_file is None else os.path.expanduser(fv.output_file)
    if fv.merge_workers:
        workers.merge(output, fv.num_workers, fv.segment_max_pred if fv["segment_max_pred"].present else None)
        return
    first, members = restored(fv, folders)
    if fv.output_model_tgz:
        bundle.write(fv.output_model_tgz, folders[0], first.prefix)
        print(f"Wrote {fv.output_model_tgz}: the model, for --input_model_tgz.")
    sample = None if fv.input_data_pattern else restore.sample_of(first.config)
    frame_level = fv.segment_labels or first.config.frame_features
    pattern = sample and (sample.test_pattern if frame_level else sample.video_validate_pattern)
    pattern = flags.data_pattern(fv, "input_data_pattern", pattern)
    kind, skipped = "segments" if fv.segment_labels else "videos", (fv.skip_head_segments, fv.skip_tail_segments)
    label_ids = scored_label_ids([member.config for member in members], fv.segment_label_ids_file, kind)
    scorer = infer.Scorer(members, kind, label_ids, fv.segment_shifts, *skipped)
    store = os.path.expanduser(fv.scores_output or ""), fv.scores_dtype
    worker = None if fv.worker_index is None else (fv.worker_index, fv.num_workers)
    job = infer.Job(pattern, output, fv.batch_size or 128, *store, worker, fv.num_readers)
    if fv.segment_labels:
        infer.rank_segments(scorer, job, fv.segment_max_pred)
        print_next(job, sample)
    else:
        infer.rank_classes(scorer, job, fv.top_k)


def check(fv):
    """Refuses flags that do not go together."""
    if fv.input_model_tgz and fv.train_dir:
        raise UserError(
            f"--input_model_tgz={fv.input_model_tgz} and --train_dir={fv.train_dir} both name a model. Leave one out."
        )
    if fv.output_model_tgz and "," in (fv.train_dir or ""):
        raise UserError(f"--output_model_tgz packs one model, and --train_dir={fv.train_dir} names several. Name one.")
    flags.check_positive(fv, "batch_size", "top_k", "segment_max_pred", "num_readers", "num_workers")
    flags.check_not_negative(fv, *SEGMENT_FLAGS)
    for name in (*SEGMENT_FLAGS, "merge_workers"):
        if fv[name].value and not fv.segment_labels:
            raise UserError(f"--{name} is for segments. Give --segment_labels, or leave it out.")
    if [fv.merge_workers, fv.worker_index is not None].count(True) != (fv.num_workers is not None):
        raise UserError("--num_workers goes with one of --worker_index and --merge_workers. Give it and one of these, or none.")
    if fv.merge_workers and fv.output_file == "":
        raise UserError("--merge_workers with an empty --output_file: name the workers' output file.")


def restored(fv, folders):
    """The first of the trained models, and the members of the ensemble of all."""
    from yt8m.scoring.infer import Member
    from yt8m.training import restore

    checkpoints, weights = (one_each(fv, name, len(folders)) for name in ("checkpoint", "weights"))
    try:
        weights = [1.0 if weight is None else float(weight) for weight in weights]
    except ValueError:
        raise UserError(f"--weights={fv.weights}: expected numbers, separated by commas.") from None
    trained = [restore.newest(*where, flags.expected(fv)) for where in zip(folders, checkpoints)]
    paths = [os.path.relpath(run.prefix, os.path.dirname(os.path.abspath(folder))) for folder, run in zip(folders, trained)]
    return trained[0], [Member(run.model, run.config, *rest) for run, *rest in zip(trained, weights, paths)]


def one_each(fv, name, count):
    """The values of a flag, one a train_dir, separated by commas; Nones where it is not given."""
    values = [None] * count if fv[name].value is None else fv[name].value.split(",")
    if len(values) != count:
        raise UserError(f"--{name}={fv[name].value}: {len(values)} values for {count} --train_dir. Give one each.")
    return values


def print_next(job, sample):
    """Prints what one would run next."""
    if job.output_file and job.worker:
        rest = f"--merge_workers --num_workers={job.worker[1]} --output_file={job.output_file}"
        print(f"Next, when all workers are done: python inference.py --segment_labels {rest}")
    elif job.output_file:
        given = f" --submission_file={job.output_file} --eval_data_pattern=<rated shards>"
        print(f"Next: python segment_eval_inference.py{'' if sample else given}")


FLAGS = (lambda fv: flags.define_files(fv, "input_data_pattern"), flags.define_features, define, flags.define_output)

if __name__ == "__main__":
    flags.run(main, __doc__, FLAGS)
