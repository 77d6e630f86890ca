"""Makes the built-in sample: a small made-up dataset in YouTube-8M's native formats.

  yt8m sample                                        makes the small one in the cache folder
  yt8m sample --size=medium --output_dir=DIR         a larger one, in a folder of your own
  yt8m sample --num_train_videos=3000 --mean_frames=230 --output_dir=DIR

How the videos are made: yt8m/sample/generator.py. The cache folder is $YT8M_CACHE, else $XDG_CACHE_HOME/yt8m, else
~/.cache/yt8m. DIR/sample.json lists what is in the folder.
"""

import dataclasses

from yt8m import flags
from yt8m.cli.command import FlagCommand
from yt8m.errors import UserError
from yt8m.flags.sample import NUMBERS


def main(given):
    """Makes the sample that the flags ask for and prints what it holds."""
    from yt8m.sample.sample import ensure_sample, make_sample

    settings, size = settings_of(given)
    if given.get("output_dir"):
        sample = make_sample(given["output_dir"], settings, size)
    elif size == "custom":
        raise UserError("--output_dir is not given: only the sizes as they are go to the cache folder. Name a folder.")
    else:
        sample = ensure_sample(size)
    for name, value in dataclasses.asdict(sample).items():
        print(f"{name:<24}{value}")


def settings_of(given):
    """(Settings, name of the size or "custom") that the flags ask for.

    Raises:
        UserError: an unknown size or a number out of range.
    """
    from yt8m.sample.sample import SIZES

    size = given.get("size", "small")
    if size not in SIZES:
        raise UserError(f"--size={size}: use one of {', '.join(SIZES)}.")
    changes = {name: given[name] for name in ("seed", *NUMBERS) if name in given}
    if "num_validate_videos" in changes:
        videos = changes.pop("num_validate_videos")
        if videos < 2:
            raise UserError(f"--num_validate_videos={videos}: use 2 or more (half are held out).")
        changes |= {"num_rated_videos": videos - videos // 2, "num_held_out_videos": videos // 2}
    try:
        settings = dataclasses.replace(SIZES[size], **changes)
    except UserError as error:
        raise UserError(f"--{error}") from None
    return settings, size if settings == SIZES[size] else "custom"


COMMAND = FlagCommand(__doc__, flags.SAMPLE, main)
