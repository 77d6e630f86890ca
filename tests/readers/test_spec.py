"""Specs: each kind of rows has its own fields, bad values are one line."""

import pytest

from tests.readers.reading import spec_of
from yt8m.errors import UserError
from yt8m.readers.spec import DataSpec, RatedSegments, SegmentsInVideos, VideosWithSegments, WholeVideos


@pytest.mark.parametrize(
    "changes, line",
    [
        ({"feature_names": ("rgb",)}, "a size for each"),
        ({"feature_names": ("rgb", "rgb")}, "distinct names"),
        ({"feature_names": (), "feature_sizes": ()}, "a size for each"),
        ({"feature_sizes": (16, 0)}, "at least 1"),
        ({"num_classes": 0}, "--num_classes=0"),
        ({"max_frames": 0}, "--max_frames=0"),
        ({"kind": RatedSegments, "segment_expansion": -1}, "--segment_expansion=-1"),
        ({"kind": SegmentsInVideos, "segment_expansion": -1}, "--segment_expansion=-1"),
        ({"label_ids": [3, 10]}, "label id 10 is not below --num_classes=10"),
        ({"label_ids": [3, 3]}, "distinct"),
        ({"label_ids": []}, "one or more"),
        ({"only_videos_with_label_ids": True}, "no label ids were given"),
        ({"kind": RatedSegments, "segment_size": 0}, "--segment_size=0"),
        ({"as_video_features": True, "frame_features": False}, "Use --frame_features"),
        ({"kind": RatedSegments, "positive_ratings": True}, "Ask for video_labels"),
        ({"held_out": True}, "no fold was given"),
    ],
)
def test_bad_specs(changes, line):
    with pytest.raises(UserError, match=line):
        spec_of("x", **changes)


@pytest.mark.parametrize(
    "kind, fields",
    [
        (WholeVideos, ("segment_size", "segment_expansion", "all_segments", "annotations", "video_labels", "positive_ratings")),
        (RatedSegments, ("frame_features", "only_videos_with_label_ids", "pad_frames")),
        (VideosWithSegments, ("frame_features", "only_videos_with_label_ids", "as_video_features", "segment_expansion")),
        (SegmentsInVideos, ("frame_features", "only_videos_with_label_ids", "as_video_features")),
    ],
)
def test_what_a_kind_does_not_have_cannot_be_asked_for(kind, fields):
    for name in (*fields, "segment_labels", "by_video", "context"):
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
            spec_of("x", kind, **{name: True})


def test_a_spec_is_of_one_of_the_kinds():
    with pytest.raises(TypeError, match="use WholeVideos, RatedSegments"):
        spec_of("x", DataSpec)
    for kind in (WholeVideos, RatedSegments, VideosWithSegments, SegmentsInVideos):
        assert isinstance(spec_of("x", kind), DataSpec)


def test_lengths_that_are_known_beforehand():
    assert spec_of("x").num_frames is None and spec_of("x", pad_frames=True, max_frames=7).num_frames == 7
    assert spec_of("x", RatedSegments, segment_expansion=3).num_frames == 11
    assert spec_of("x", VideosWithSegments).num_frames is None
    assert spec_of("x", VideosWithSegments, pad_frames=True, max_frames=7).num_frames == 7
    inside = spec_of("x", SegmentsInVideos, pad_frames=True, max_frames=7, segment_expansion=2)
    assert (inside.num_frames, inside.video_length) == (9, 7)
