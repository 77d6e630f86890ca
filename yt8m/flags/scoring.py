"""Flags of the commands that use a trained model: evaluation, inference, the score of a submission, export."""

from yt8m.flags import values
from yt8m.flags.data import VOCABULARY
from yt8m.flags.model import EXPECTED
from yt8m.flags.table import Flag, Group
from yt8m.flags.timeline import THRESHOLDS

EVALUATION = Group(
    "Evaluation",
    (
        EXPECTED,
        Flag("label_loss", str, "Loss to report beside the cross entropy. Default: the one trained with."),
        Flag("top_k", int, "Predictions a video that count for GAP. Default: 20."),
        Flag(
            "map_top_k",
            int,
            "Predictions a video that count for MAP; the starter has 20. Default: all, exactly: those that are more than 128 MB "
            "are kept in a file in the cache folder, 4 bytes each (17 GB for all validation videos and 3,862 classes).",
        ),
        Flag("threshold", float, "Precision and recall are of the predictions above it. Default: 0.5, as in paper 002."),
        Flag(
            "per_class_output",
            str,
            "CSV to write: a line a class with its label id, name, average precision and number of positives; of each new "
            "checkpoint anew.",
        ),
        VOCABULARY,
        Flag("checkpoint", str, "Evaluate this checkpoint of the run, once. Default: the newest."),
        Flag("run_once", bool, "Evaluate the newest checkpoint only. --norun_once: never stop waiting for more."),
        Flag("eval_interval_secs", int, "Seconds between two looks for a new checkpoint. Default: 10."),
        THRESHOLDS,
    ),
)
INFERENCE = Group(
    "Inference",
    (
        EXPECTED,
        Flag(
            "recipe", str, "Flags of a published ensemble, configs/<recipe>.flags; an unknown one lists all. Others override it."
        ),
        Flag(
            "checkpoint",
            str,
            "Use this checkpoint of the run; of several runs, one each, separated by commas. Default: the newest.",
        ),
        Flag(
            "output_file",
            str,
            "CSV to write; --output_file= (empty): none, --scores_output alone. Default: predictions.csv in the (first) "
            "train_dir, of a bundle in the folder that it is extracted to.",
        ),
        Flag(
            "names",
            bool,
            "Also write what was found with the classes' names, a line each, beside --output_file: predictions.names.csv.",
        ),
        VOCABULARY,
        Flag("top_k", int, "Classes a video to write. Default: 20."),
        Flag("segment_max_pred", int, "Segments a class to write. Default: 100000."),
        Flag(
            "skip_head_segments",
            int,
            "Leave out so many segments at the beginning of each video. In YouTube-8M the first 6 are never rated (paper 002). "
            "Default: 0.",
        ),
        Flag("skip_tail_segments", int, "Leave out so many at the end; there it is the last 2. Default: 0."),
        Flag(
            "segment_shifts",
            int,
            "k: average the probabilities over the segment's window moved by -k, ..., k frames (test-time augmentation). "
            "Default: 0.",
        ),
    ),
)
BUNDLE = Group(
    "Model bundle",
    (
        Flag("output_model_tgz", str, "Also pack the model into this .tgz: model_flags.json and the checkpoint's weights."),
        Flag("input_model_tgz", str, "Use the model of a .tgz that --output_model_tgz wrote, in place of a --train_dir."),
        Flag(
            "untar_model_dir",
            str,
            "Folder that --input_model_tgz is extracted to. Default: `model-<digest of the .tgz>` in the cache folder, where a "
            "bundle is extracted once.",
        ),
    ),
)
INPUT_BUNDLE = Group("Model bundle", BUNDLE.flags[1:])
ENSEMBLE = Group(
    "Ensemble: --train_dir=A,B,C",
    (Flag("weights", str, "Weights of the models' probabilities, e.g. 1,2,1: one for each train_dir. Default: all the same."),),
)
STORE = Group(
    "Scores store",
    (
        Flag(
            "scores_output",
            str,
            "Folder for all scores of all segments (or videos), a memory-mappable file a shard. Shards that are there are not "
            "scored again. The CSV is then made from the scores as they are stored, quantised.",
        ),
        Flag(
            "scores_dtype",
            str,
            "uint16: round(score * 9999), as paper 002. Default: uint16.",
            ("uint16", "float16"),
        ),
    ),
)
WORKERS = Group(
    "Workers",
    (
        Flag(
            "worker_index",
            int,
            "i: score shards i, i + n, ... of the sorted list only, and leave a partial result beside --output_file. All n "
            "workers get the same flags but this; any may be run again. Then --merge_workers. They may share a --scores_output.",
        ),
        Flag("num_workers", int, "n: how many workers there are."),
        Flag(
            "merge_workers",
            bool,
            "Make the CSV from the partial results of all --num_workers: what one worker would have written, byte for byte.",
        ),
    ),
)
SUBMISSION = Group(
    "Scoring",
    (
        Flag(
            "submission_file",
            str,
            "CSV with a line a class, with or without the header; .csv.gz too. Default: predictions.csv in the train_dir.",
        ),
        Flag("label_cache", str, "File to keep the ratings in, read instead of the shards when it is there."),
        Flag("top_n", int, "Segments a class that count; 0: all. Default: 100000."),
        Flag("id_feature", str, "Name of a record's id in its context. Default: id."),
    ),
)
EXPORT = Group(
    "Export",
    (
        EXPECTED,
        Flag("checkpoint", str, "Export this checkpoint of the run. Default: the newest."),
        Flag("output_dir", str, "Folder to make. Default: export in the train_dir."),
        Flag("overwrite", bool, "Replace an earlier export in the output_dir."),
        Flag(
            "formats",
            values.names,
            "Some of saved_model, mediapipe (a SavedModel for MediaPipe's graphs), keras (model.keras) and the LiteRT formats "
            "float32, float16, int8, dynamic (8-bit weights, float activations). Default: saved_model,float32,float16,int8; int8 "
            "where there are shards to calibrate on.",
        ),
        VOCABULARY,
        Flag("top_k", int, "Best (segment, class) pairs a video that serving gives. Default: 20."),
        Flag(
            "calibration_data_pattern",
            str,
            "Rated shards from which int8 learns the ranges of activations. Default: the sample's, if the model was trained on "
            "it.",
        ),
        Flag("calibration_segments", int, "Segments of them to use. Default: 300."),
    ),
)
