"""Lists the weight files of --backbone=yt8m: which a folder has, whether they are right, where they are published.

  yt8m weights DIR

Nothing is downloaded. Sizes and checksums are verified where the published ones are known, shapes where they are not. The exit
status is 0 when DIR has all that is needed. See docs/backbones.md.
"""

from yt8m.cli.command import ArgumentCommand, Arguments


def arguments():
    """Parser of the command's arguments."""
    parser = Arguments()
    parser.add_argument("weights_dir", metavar="DIR", help="folder of the weight files, the --weights_dir of `yt8m features`")
    return parser


def main(options):
    """Prints the list; returns 1 when something is missing or wrong."""
    from yt8m.features import weights_listing

    states = weights_listing.survey(options.weights_dir)
    print("\n".join(weights_listing.listing(options.weights_dir, states)))
    return 0 if weights_listing.is_complete(states) else 1


COMMAND = ArgumentCommand(__doc__, arguments, main)
