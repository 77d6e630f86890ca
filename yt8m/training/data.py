"""Which rows a model is trained, evaluated and scored on: DataSpecs from a ModelConfig."""

import dataclasses

from yt8m import models
from yt8m.readers.datasets import DataSpec


def video_spec(config, pattern, **changes):
    """Whole videos as they are in `pattern`, with their video-level labels."""
    return DataSpec(
        pattern=pattern,
        feature_names=config.feature_names,
        feature_sizes=config.feature_sizes,
        frame_features=config.frame_features,
        num_classes=config.num_classes,
        label_ids=config.label_ids,
        id_feature=config.id_feature,
        max_frames=config.max_frames,
        as_video_features=config.frame_features and not models.takes_frames(config.model),
        **changes,
    )


def frame_spec(config, pattern, **changes):
    """Frame-level records, whatever the model takes: a video-level model gets means over their frames."""
    if not config.frame_features:
        config = dataclasses.replace(config, frame_features=True, feature_names=config.segment_feature_names)
    return video_spec(config, pattern, **changes)


def segment_spec(config, pattern, **changes):
    """Rated segments of frame-level records: a row for each (video, start), or whole videos for models that look around."""
    changes.setdefault("context", models.kind(config.model) == "context")
    changes.setdefault("whole_videos", models.kind(config.model) == "sequence")
    return frame_spec(config, pattern, segment_labels=True, segment_expansion=config.segment_expansion, **changes)
