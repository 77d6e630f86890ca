"""The commands as functions: the flags' names are the arguments, what is not given is resolved as on the command line.

Values are Python's (a dict of hyperparameters, a list of feature_sizes) or the flag's text. Bad input raises UserError.
"""

from yt8m.api.averaging import average_checkpoints
from yt8m.api.cards import write_card
from yt8m.api.comparing import compare
from yt8m.api.evaluation import evaluate, evaluate_submission
from yt8m.api.exporting import export_model
from yt8m.api.features import extract_features
from yt8m.api.fusing import fuse
from yt8m.api.loading import load
from yt8m.api.reranking import rerank
from yt8m.api.scoring import inference
from yt8m.api.timelines import timeline
from yt8m.api.training import TrainingResult, train
from yt8m.api.videos import write_videos

__all__ = [
    "TrainingResult",
    "average_checkpoints",
    "compare",
    "evaluate",
    "evaluate_submission",
    "export_model",
    "extract_features",
    "fuse",
    "inference",
    "load",
    "rerank",
    "timeline",
    "train",
    "write_card",
    "write_videos",
]
