"""Makes tests/vectors/robust.json: what ByzFL (PyPI, `pip install byzfl`) says of small sets of vectors.

    python tests/python/robust_vectors.py > tests/vectors/robust.json

Values are f32 numbers; ByzFL computes in float64 numpy. `median_norm` is the lower median of the vectors' norms, which
turns a radius in multiples of it into ByzFL's tau.
"""

import json

import byzfl
import numpy as np


def numbers(array):
    return [float(value) for value in np.asarray(array).ravel()]


def clipped(vectors, tau):
    return byzfl.CenteredClipping(L=3, tau=float(tau))(vectors)


def case(rng, honest, dishonest, spread, away):
    n, d = honest + dishonest, 24
    centre = rng.normal(size=d)
    vectors = centre + spread * rng.normal(size=(n, d))
    vectors[honest:] += away * rng.normal(size=d)
    vectors = vectors.astype(np.float32).astype(np.float64)
    f = dishonest
    median_norm = float(np.sort(np.linalg.norm(vectors, axis=1))[(n - 1) // 2])
    mixed = byzfl.NNM(f)(vectors)
    median_mixed = float(np.sort(np.linalg.norm(mixed, axis=1))[(n - 1) // 2])

    def rules(vectors, median):
        return {
            "mean": numbers(byzfl.Average()(vectors)),
            "trimmed-mean": numbers(byzfl.TrMean(f)(vectors)),
            "median": numbers(byzfl.Median()(vectors)),
            "krum": numbers(byzfl.Krum(f)(vectors)),
            "multi-krum": numbers(byzfl.MultiKrum(f)(vectors)),
            "centered-clip": numbers(clipped(vectors, 0.5 * median)),
        }

    return {
        "f": f,
        "radius": 0.5,
        "vectors": [numbers(vector) for vector in vectors],
        "plain": rules(vectors, median_norm),
        "nearest-neighbour-mixing": rules(mixed, median_mixed),
    }


rng = np.random.default_rng(1)
settings = [(5, 2, 0.3, 3.0), (9, 2, 1.0, 5.0), (12, 3, 0.5, 1.0), (8, 0, 0.5, 0.0), (11, 4, 2.0, 10.0)]
print(json.dumps([case(rng, *setting) for setting in settings]))
