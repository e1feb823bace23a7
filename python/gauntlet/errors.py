"""The exceptions of this package. Each message says what was found, what was expected, and what to do."""

__all__ = ["GauntletError", "RunFolderError", "ScenarioError"]


class GauntletError(Exception):
    """A run or an experiment failed."""


class ScenarioError(GauntletError, ValueError):
    """A scenario, a setting or an argument is wrong. Nothing has run."""


class RunFolderError(GauntletError):
    """A folder is no run, is of another version, is damaged, or is in use by something else."""
