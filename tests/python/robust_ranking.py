"""Makes tests/vectors/robust_ranking.json: how far ByzFL's rules (PyPI, `pip install byzfl`) end from the mean of honest
vectors under ByzFL's attacks: which rule withstands which attack best.

    python tests/python/robust_ranking.py > tests/vectors/robust_ranking.json

Nine honest vectors lie around a mean, three more are what an attacker sends that knows those. Values are multiples of
2^-10, so that all programs read the same numbers. Centered clipping has a radius of half of the lower median of all
norms.
"""

import json

import byzfl
import numpy as np

HONEST, DISHONEST, SIZE = 9, 3, 24


def coarse(array):
    return np.round(np.asarray(array) * 1024) / 1024


def distances(vectors, centre):
    f = DISHONEST
    radius = 0.5 * float(np.sort(np.linalg.norm(vectors, axis=1))[(len(vectors) - 1) // 2])
    rules = {
        "mean": byzfl.Average(),
        "trimmed-mean": byzfl.TrMean(f),
        "median": byzfl.Median(),
        "krum": byzfl.Krum(f),
        "multi-krum": byzfl.MultiKrum(f),
        "centered-clip": byzfl.CenteredClipping(L=3, tau=radius),
    }
    return {name: float(np.linalg.norm(rule(vectors) - centre)) for name, rule in rules.items()}


def case(name, attack, rng):
    honest = coarse(rng.normal(size=SIZE) + 0.5 * rng.normal(size=(HONEST, SIZE)))
    centre = honest.mean(axis=0)
    sent = coarse([attack(honest) for _ in range(DISHONEST)])
    vectors = np.concatenate([honest, sent])
    mixed = byzfl.NNM(DISHONEST)(vectors)
    return {
        "attack": name,
        "f": DISHONEST,
        "radius": 0.5,
        "honest": HONEST,
        "vectors": vectors.tolist(),
        "plain": distances(vectors, centre),
        "nearest-neighbour-mixing": distances(mixed, centre),
    }


np.random.seed(3)
rng = np.random.default_rng(3)
attacks = {
    "alie": byzfl.ALittleIsEnough(1.5),
    "ipm": byzfl.InnerProductManipulation(2.0),
    "gaussian": byzfl.Gaussian(0.0, 10.0),
    "sign-flip": byzfl.SignFlipping(),
}
print(json.dumps([case(name, attack, rng) for name, attack in attacks.items()]))
