"""MAP@N of lists that are cut, over all segments of videos whose truth is known: of all segments, and of candidates by video.

N is 1 in 22 segments, as 100,000 of 2.2 million are in the challenge; what a list lacks of a class counts as missed.
"""

import numpy as np
import pandas as pd

from yt8m.metrics.ranking import average_precision_from_ranks
from yt8m.scoring.candidates import CandidateRules, ProposedVideos, candidate_ranking, logarithms
from yt8m.scoring.ranking import Ranking

SEGMENTS_A_PLACE = 22


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


def precisions_of_lists(store, truth, places, proposed=None):
    """Average precision of each class's list, cut at some places, of a store of segments: float [K], nan without positives.

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
    return np.array(of_classes)


def precisions(store, truth, videos):
    """{row: precisions of its lists of N} of a store of segments, "" its own lists, of the rules beside it.

    Args:
        store, truth: as precisions_of_lists.
        videos: folder of the scores of whole videos.
    """
    places = len(truth) // SEGMENTS_A_PLACE
    found = {"": precisions_of_lists(store, truth, places)}
    for name, (rules, filled) in rules_of(places).items():
        proposed = ProposedVideos(rules, videos, videos if filled else "")
        found[name] = precisions_of_lists(store, truth, places, proposed)
    return found
