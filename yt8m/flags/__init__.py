"""What can be said to each command, and to the function of that name in Python: tables of flags. No command line in here."""

from yt8m.flags import averaging, candidates, card, fusion, model, output, reranking, scoring, timeline
from yt8m.flags.data import data
from yt8m.flags.features import FEATURES
from yt8m.flags.methods import METHODS
from yt8m.flags.optimizer import OPTIMIZER
from yt8m.flags.sample import SAMPLE
from yt8m.flags.table import read
from yt8m.flags.training import TRAINING

__all__ = [
    "AVERAGE",
    "CARD",
    "EVAL",
    "EXPORT",
    "FEATURES",
    "FUSE",
    "INFERENCE",
    "RERANK",
    "SAMPLE",
    "SEGMENT_EVAL",
    "TIMELINE",
    "TRAIN",
    "read",
]

TRAIN = (
    data("train_data_pattern", "eval_data_pattern"),
    model.MODEL,
    model.STARTER,
    TRAINING,
    OPTIMIZER,
    *METHODS,
    output.TRAINING,
)
EVAL = (
    data(
        "eval_data_pattern",
        without=("segment_label_ids_file",),
        num_readers="The starter's; without effect: evaluation reads one batch at a time.",
        batch_size="Rows a batch: videos, or with --segment_labels segments. Default: 128.",
    ),
    scoring.EVALUATION,
    output.TRAINED,
)
INFERENCE = (
    data("input_data_pattern"),
    scoring.INFERENCE,
    scoring.BUNDLE,
    scoring.ENSEMBLE,
    scoring.STORE,
    candidates.CANDIDATES,
    scoring.WORKERS,
    output.TRAINED,
)
TIMELINE = (
    data("input_data_pattern", without=("segment_labels",), batch_size="Videos a batch. Default: 16."),
    timeline.VIDEOS,
    timeline.MODEL,
    timeline.INTERVALS,
    timeline.OUTPUT,
    scoring.INPUT_BUNDLE,
    scoring.ENSEMBLE,
    output.TRAINED,
)
SEGMENT_EVAL = (
    data(
        "eval_data_pattern",
        features=(),
        eval_data_pattern="Rated shards: a glob or a comma-separated list. Not given: those of the built-in sample's test "
        "videos, if the model was trained on the sample.",
    ),
    scoring.SUBMISSION,
    output.TRAINED,
)
EXPORT = (
    data("eval_data_pattern", without=("segment_labels", "num_readers"), batch_size="Videos a batch. Default: 16."),
    scoring.EXPORT,
    output.TRAINED,
)
CARD = (card.CARD, card.JUDGING, output.TRAINED)
FUSE = (fusion.SCORES, fusion.FITTING, fusion.OUTPUT, candidates.FILTERS)
RERANK = (
    reranking.MEMBERS,
    reranking.LEARNING,
    reranking.SCORES,
    reranking.FRAMES,
    reranking.JUDGING,
    reranking.OUTPUT,
)
AVERAGE = (averaging.AVERAGING,)
