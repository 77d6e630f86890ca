"""Thresholds of best F1, against trying every score."""

import numpy as np

from yt8m.metrics.thresholds import best_f1_thresholds


def f1(scores, labels, high):
    said = scores >= high
    hits = (said & labels).sum()
    return 2 * hits / (said.sum() + labels.sum())


def test_by_brute_force():
    for seed in range(200):
        rng = np.random.default_rng(seed)
        classes, scores = rng.integers(0, 4, 40), rng.integers(0, 12, 40) / 12
        labels = (rng.random(40) < scores).astype(float) * rng.choice([1, 0.5], 40)
        best = best_f1_thresholds(classes, scores, labels)
        for c in range(4):
            own = classes == c
            if not (labels[own] > 0).any():
                assert c not in best
                continue
            tried = {high: f1(scores[own], labels[own] > 0, high) for high in scores[own]}
            assert np.isclose(best[c].f1, max(tried.values()))
            assert best[c].high == max(high for high, value in tried.items() if np.isclose(value, best[c].f1))
            assert (best[c].positives, best[c].rated) == ((labels[own] > 0).sum(), own.sum())
    assert list(best) == sorted(best)
