"""What every model is, and the four kinds of models: each answers for itself what its callers need to know."""

from yt8m.base_model.base import BaseModel, constructor_arguments, model_inputs
from yt8m.base_model.context import ContextModel
from yt8m.base_model.frame import FrameModel
from yt8m.base_model.parts import Graph, Part, Windows
from yt8m.base_model.sequence import SequenceModel
from yt8m.base_model.video import VideoModel

__all__ = [
    "BaseModel",
    "ContextModel",
    "FrameModel",
    "Graph",
    "Part",
    "SequenceModel",
    "VideoModel",
    "Windows",
    "constructor_arguments",
    "model_inputs",
]
