"""Permissionless distributed training of language models: a deterministic simulator, in this process.

    import gauntlet

    run = gauntlet.run("copycat", seed=1, set={"rounds": 50})
    run.leaderboard.to_pandas()
    run.plot_pay()

Behaviours and mechanisms can be Python classes: see `gauntlet.Behaviour` and `gauntlet.Mechanism`.
"""

from ._native import __version__
from .behaviours import (
    Behaviour,
    Claim,
    Peer,
    Poison,
    PseudoGradient,
    Rng,
    Shape,
    Surroundings,
    Trigger,
    mix,
)
from .errors import GauntletError, RunFolderError, ScenarioError
from .lab import Attack, Comparison, Plan, Sweep, attack, compare, explain, plan, sweep
from .mechanisms import (
    Audit,
    Column,
    Contrast,
    Facts,
    Margin,
    Measurement,
    Mechanism,
    Overlap,
    Pages,
    PeerFacts,
    Ranking,
    Status,
    openskill,
    ordinal,
    power,
    shares,
)
from .runs import Run, load, resume, run
from .scenarios import Scenario, scenario, scenarios

__all__ = [
    "Attack",
    "Audit",
    "Behaviour",
    "Claim",
    "Column",
    "Comparison",
    "Contrast",
    "Facts",
    "GauntletError",
    "Margin",
    "Measurement",
    "Mechanism",
    "Overlap",
    "Pages",
    "Peer",
    "PeerFacts",
    "Plan",
    "Poison",
    "PseudoGradient",
    "Ranking",
    "Rng",
    "Run",
    "RunFolderError",
    "Scenario",
    "ScenarioError",
    "Shape",
    "Status",
    "Surroundings",
    "Sweep",
    "Trigger",
    "__version__",
    "attack",
    "compare",
    "explain",
    "load",
    "mix",
    "openskill",
    "ordinal",
    "plan",
    "power",
    "resume",
    "run",
    "scenario",
    "scenarios",
    "shares",
    "sweep",
]
