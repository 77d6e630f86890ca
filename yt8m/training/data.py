"""Which rows a model is trained, evaluated and scored on: DataSpecs from a ModelConfig."""

import dataclasses

from yt8m import models
from yt8m.readers.spec import RatedSegments, SegmentsInVideos, VideosWithSegments, WholeVideos


def video_spec(config, pattern, **changes):
    """Whole videos as they are in `pattern`, with their video-level labels."""
    means = config.frame_features and not models.takes_frames(config.model)
    return WholeVideos(**_read(config, pattern), frame_features=config.frame_features, as_video_features=means, **changes)


def frame_spec(config, pattern, **changes):
    """Whole videos of frame-level records as frames, whatever the model takes."""
    return WholeVideos(**_read(_of_frames(config), pattern), **changes)


def segment_spec(config, pattern, context=False, **changes):
    """Rated segments of frame-level records, as the model takes them.

    Args:
        config: ModelConfig.
        pattern: of the shards.
        context: SegmentsInVideos, whatever the model takes.
        **changes: more fields, of every kind of segments.

    Returns:
        A DataSpec of the kind that the model has as its RATED_ROWS.
    """
    fields = {**_read(_of_frames(config), pattern), **changes}
    rows = SegmentsInVideos if context else models.model_class(config.model).RATED_ROWS
    if rows is not VideosWithSegments:
        fields["segment_expansion"] = config.segment_expansion
    if rows is RatedSegments:
        fields["as_video_features"] = not models.takes_frames(config.model)
    return rows(**fields)


def takes_whole_videos(model, start_times=False):
    """Whether a row of a model's rated segments is a whole video with all of them.

    Args:
        model: its name.
        start_times: with start-time supervision.
    """
    return bool(start_times) or models.model_class(model).RATED_ROWS.by_video


def _of_frames(config):
    """The config with frame-level records."""
    if config.frame_features:
        return config
    return dataclasses.replace(config, frame_features=True, feature_names=config.segment_feature_names)


def _read(config, pattern):
    """The fields that all kinds of rows have."""
    names = ("feature_names", "feature_sizes", "num_classes", "label_ids", "id_feature", "max_frames")
    return {"pattern": pattern, **{name: getattr(config, name) for name in names}}
