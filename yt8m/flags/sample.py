"""Flags of the command that makes a sample."""

from yt8m.flags.table import Flag, Group

# Fields of sample.generator.Settings, but for num_validate_videos, which stands for two.
NUMBERS = {
    "num_train_videos": "Videos with video-level labels only.",
    "num_validate_videos": "Videos with rated segments, half for fine-tuning, half held out.",
    "num_test_videos": "Videos without labels; their ratings are kept apart.",
    "num_classes": "Label ids.",
    "num_segment_classes": "How many of them are rated in segments.",
    "mean_frames": "Mean frames (seconds) of a video, 20 to 230.",
}
# Of small, medium and large, for fine-tuning and held out.
_OWN = {"num_validate_videos": ": 450 and 350, 2,000 and 1,500, 20,000 and 10,000"}
SAMPLE = (
    Group(
        "Sample",
        (
            Flag("output_dir", str, "Folder to make, with the sample in it. Default: in the cache folder."),
            Flag("size", str, "small, medium or large; the other flags change parts of it. Default: small."),
            Flag("seed", int, "Of everything that is random. Default: 1."),
            *(Flag(name, int, f"{meaning} Default: the size's{_OWN.get(name, '')}.") for name, meaning in NUMBERS.items()),
        ),
    ),
)
