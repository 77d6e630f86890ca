"""What candidates by video do to lists that are cut, on montages: MAP@N over all segments of the test part, whose truth is known.

Needs the rows of `montage.py --only ensemble` in the same work folder, of which nothing is trained again. The pre-trained
multi-attention scores whole videos, as `yt8m inference` does it; candidates are those of `yt8m inference --video_scores` and
`yt8m fuse`; lists and rules are those of cut_lists.py. The best ensemble (`yt8m rerank`) ranks anew what its own members propose,
N / 10, N and 4 N segments a class, each by the scores of segments and by those of videos.

  python benchmarks/candidates.py --work DIR --json FILE       three seeds
  python benchmarks/candidates.py --work DIR --json FILE --method attention
      instead: N candidates by videos, ranked anew by another method of `yt8m rerank`, beside its regression
"""

import itertools
import os
import shutil

import best
import best_rankers
import cut_lists
import montage_groups
import montage_runs
import numpy as np
import report

from yt8m import api
from yt8m.readers.stores import open_store

BASES = ("attention", "multi-attention", "gated DBoF", "ensemble of three, mean")
VIDEO_MODEL = "multi-attention"
PLAIN = best.PLAIN  # the mean of the best ensemble's members
# Candidates: {name: share of N}, and --candidates_by.
PROPOSED, BY = {"N / 10": 0.1, "N": 1, "4 N": 4}, ("segments", "videos")
RANKED = f"{PLAIN}, ranked anew, N candidates by videos"


def video_scores(runs):
    """Folder of the pre-trained model's scores of whole test videos."""
    folder = os.path.join(runs.path("candidates"), "videos")
    shutil.rmtree(folder, ignore_errors=True)
    montage_groups.both_stages(runs, VIDEO_MODEL)
    start = montage_groups.pretrained(VIDEO_MODEL)
    runs._made(start)
    with report.quiet():
        api.inference(train_dir=runs.path(start), input_data_pattern=runs.made.test_pattern, scores_output=folder, output_file="")
    return folder


def of_seed(runs):
    """{base: {row: precisions of its lists of N}} of a seed, "" the base's own lists."""
    truth, videos, found = runs.test.there, video_scores(runs), {}
    for base in BASES:
        found[base] = cut_lists.precisions(open_store(best_rankers.stores(runs, base)[1]), truth, videos)
        if base == PLAIN:
            found[base] |= reranked(runs, truth)
        told = ", ".join(f"{name} {np.nanmean(of_classes):.4f}" for name, of_classes in found[base].items())
        print(f"seed {runs.seed} | {base}: {told}", flush=True)
    return found


def reranked(runs, truth):
    """{row: precisions of its lists of N} of the best ensemble's candidates, ranked anew, and what is none after them."""
    places, found = len(truth) // cut_lists.SEGMENTS_A_PLACE, {}
    for (name, share), by in itertools.product(PROPOSED.items(), BY):
        flags = {"candidates": round(share * places), "candidates_by": by}
        found[f"ranked anew, {name} candidates by {by}"] = lists_of(runs, truth, places, **flags)
    return found


def lists_of(runs, truth, places, **flags):
    """Precisions of the best ensemble's lists of so many places, float [K]; flags: of `yt8m rerank`."""
    folder = os.path.join(runs.path("candidates"), "ranked")
    shutil.rmtree(folder, ignore_errors=True)
    best_rankers.map_of(runs, scores_output=folder, **flags)
    return cut_lists.precisions_of_lists(open_store(folder), truth, places)


def of_method(runs, method):
    """{base: {row: precisions of its lists of N}} of a seed: N candidates by videos, ranked by the regression and by a method."""
    truth = runs.test.there
    places = len(truth) // cut_lists.SEGMENTS_A_PLACE
    given = {"candidates": places, "candidates_by": "videos"}
    ways = {"": {}, f"--method={method}": {"method": method}}
    return {RANKED: {name: lists_of(runs, truth, places, **given, **flags) for name, flags in ways.items()}}


def table(seeds):
    """Rows of report.show of the seeds' {base: {row: precisions}}, each beside its base's own lists."""
    rows = []
    for base, of_base in seeds[0].items():
        their_precisions = [found[base][""] for found in seeds]
        theirs = [float(np.nanmean(of_classes)) for of_classes in their_precisions]
        for name in of_base:
            precisions = [found[base][name] for found in seeds]
            ours = [float(np.nanmean(of_classes)) for of_classes in precisions]
            if not name:
                rows.append(best.row(base, ours))
                continue
            row = best.row(f"{base}, {name}", ours, base, theirs, "above", beats(ours, theirs))
            rows.append({**row, "worse": report.share_below(precisions, their_precisions)})
    return rows


def beats(ours, theirs):
    """Whether values are above others, seed by seed, by more than two standard errors."""
    return report.reached("above", [a - b for a, b in zip(ours, theirs)])


def main():
    parser = montage_runs.arguments(__doc__)
    parser.add_argument("--method", help="of yt8m rerank")
    options = parser.parse_args()
    _, version = montage_runs.newest(options.work)
    all_runs = montage_runs.of_seeds(options)
    seeds = [of_method(runs, options.method) if options.method else of_seed(runs) for runs in all_runs]
    report.show(f"Lists of candidates by video, {options.seeds} seeds, scores of {version}", table(seeds), options.json)


if __name__ == "__main__":
    main()
