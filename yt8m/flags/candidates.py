"""Flags of ranking in two steps: whole videos propose the segments that are ranked."""

from yt8m.flags.table import Flag, Group

VIDEO_SCORES = Flag(
    "video_scores",
    str,
    "Store of the scores of whole videos (inference --scores_output without --segment_labels), by any model of the same classes.",
)
_FILTERS = (
    Flag(
        "candidate_classes", int, "Rank a segment for a class only if the class is among its video's so many best. Default: all."
    ),
    Flag("candidate_score", float, "... only if its video's score for the class is at least this, 0 to 1. Default: 0."),
    Flag("candidate_videos", int, "... only if its video is among the class's so many best. Default: all."),
    Flag("candidate_segments", int, "... only of the class's best videos until these have so many segments. Default: all."),
    Flag("video_exponent", float, "a: rank by v^a s^(1-a), v the score of the video, s of the segment, 0 to 1. Default: 0."),
    Flag(
        "fill_scores",
        str,
        "Store of the scores of whole videos by which lists shorter than they may be are filled, video by video, with what they "
        "lack. It may be that of --video_scores.",
    ),
)
FILTERS = Group("Candidates by video", _FILTERS)
CANDIDATES = Group(FILTERS.title, (VIDEO_SCORES, *_FILTERS))
