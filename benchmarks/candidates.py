"""What candidates by video do to lists that are cut, on montages: MAP@N over all segments of the test part, whose truth is known.

Needs the rows of `montage.py --only ensemble` in the same work folder, of which nothing is trained again. The pre-trained
multi-attention scores whole videos, as `yt8m inference` does it; candidates are those of `yt8m inference --video_scores` and
`yt8m fuse`. N is 1 in 22 segments, as 100,000 of 2.2 million are in the challenge; what a list lacks of a class counts as
missed.

  python benchmarks/candidates.py --work DIR --json FILE       three seeds
"""

import os
import shutil

import best
import best_rankers
import montage_groups
import montage_runs
import numpy as np
import pandas as pd
import report

from yt8m import api
from yt8m.metrics.ranking import average_precision_from_ranks
from yt8m.readers.stores import open_store
from yt8m.scoring.candidates import CandidateRules, ProposedVideos, candidate_ranking, logarithms
from yt8m.scoring.ranking import Ranking

SEGMENTS_A_PLACE = 22
BASES = ("attention", "multi-attention", "gated DBoF", "ensemble of three, mean")
VIDEO_MODEL = "multi-attention"


def rules_of(places):
    """{row: (CandidateRules, whether short lists are filled)} for lists of so many places."""
    return {
        "the 5 best classes of a video": (CandidateRules(classes=5), False),
        "the 20 best classes of a video": (CandidateRules(classes=20), False),
        "videos of N segments": (CandidateRules(segments=places), False),
        "videos of 4 N segments": (CandidateRules(segments=4 * places), False),
        "v^.05 s^.95": (CandidateRules(exponent=0.05), False),
        "v^.25 s^.75": (CandidateRules(exponent=0.25), False),
        "as the third place": (CandidateRules(classes=20, segments=places, exponent=0.05), True),
    }


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


def map_of_lists(store, truth, places, proposed=None):
    """MAP@places of the lists of a store of segments.

    Args:
        store: ScoreStore of the test segments, in the order of the truth's rows.
        truth: bool [N, K].
        places: segments a class.
        proposed: ProposedVideos; None: all segments are ranked.
    """
    shards, label_ids, names = store.shards(), store.config.label_ids, []
    ranking = candidate_ranking(store, shards, label_ids, proposed, places) if proposed else Ranking(len(label_ids), places)
    for shard in shards:
        stored = store.read(shard)
        ranking.add(stored.ids, stored.starts, logarithms(stored.scores()))
        names += [f"{id}:{start}" for id, start in zip(stored.ids, stored.starts)]
    rows, of_classes = pd.Index(names), []
    for there, chosen in zip(truth.T, ranking.names()):
        hits = np.flatnonzero(there[rows.get_indexer(chosen)]) + 1
        of_classes.append(average_precision_from_ranks(hits, np.count_nonzero(there)))
    return float(np.nanmean(of_classes))


def of_seed(runs):
    """{base: {row: MAP@N}} of a seed, "" the base's own lists."""
    truth, videos, found = runs.test.there, video_scores(runs), {}
    places = len(truth) // SEGMENTS_A_PLACE
    for base in BASES:
        store = open_store(best_rankers.stores(runs, base)[1])
        found[base] = {"": map_of_lists(store, truth, places)}
        for name, (rules, filled) in rules_of(places).items():
            proposed = ProposedVideos(rules, videos, videos if filled else "")
            found[base][name] = map_of_lists(store, truth, places, proposed)
        print(
            f"seed {runs.seed} | {base}: " + ", ".join(f"{name} {value:.4f}" for name, value in found[base].items()), flush=True
        )
    return found


def table(seeds):
    """Rows of report.show of the seeds' {base: {row: MAP@N}}, each beside its base's own lists."""
    rows = []
    for base, of_base in seeds[0].items():
        theirs = [found[base][""] for found in seeds]
        for name in of_base:
            ours = [found[base][name] for found in seeds]
            rows.append(
                best.row(f"{base}, {name}", ours, base, theirs, "above", beats(ours, theirs)) if name else best.row(base, ours)
            )
    return rows


def beats(ours, theirs):
    """Whether values are above others, seed by seed, by more than two standard errors."""
    return report.reached("above", [a - b for a, b in zip(ours, theirs)])


def main():
    parser = montage_runs.arguments(__doc__)
    options = parser.parse_args()
    _, version = montage_runs.newest(options.work)
    seeds = [of_seed(runs) for runs in montage_runs.of_seeds(options)]
    report.show(f"Lists of candidates by video, {options.seeds} seeds, scores of {version}", table(seeds), options.json)


if __name__ == "__main__":
    main()
