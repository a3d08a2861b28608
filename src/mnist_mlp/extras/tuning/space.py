"""The search space: Hydra's sweep syntax as distributions of Optuna, and a sample of them as a configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hydra import compose
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from mnist_mlp.config.commands import TuneConfig
from mnist_mlp.config.compose import parse, without_sections
from mnist_mlp.config.composition_errors import COMPOSITION_ERRORS, explain_composition
from mnist_mlp.config.errors import ConfigError
from mnist_mlp.config.job_compositions import JobCompositions
from mnist_mlp.config.overrides import key_of
from mnist_mlp.config.schema import Config
from mnist_mlp.config.schema_trainer import TrainerConfig
from mnist_mlp.distributed.preflight import require_machine
from mnist_mlp.runs.monitored import ACCURACY

Drawn = Mapping[str, Any]


class SearchSpace:
    """What the command fixes for every trial, and what is drawn around it."""

    def __init__(self, expressions: Mapping[str, str], overrides: Sequence[str]) -> None:
        """
        Args:
            expressions: of each key, as in `tune.space`.
            overrides: of the command; a key that one of them fixes is not searched.

        Raises:
            ConfigError: an expression that is not a choice, a range or an interval.
        """
        self.fixed = [override for override in overrides if not key_of(override).startswith("tune.")]
        fixed_keys = {key_of(override) for override in self.fixed}
        self.expressions = {str(key): str(text) for key, text in expressions.items() if key not in fixed_keys}
        self.distributions = {key: _distribution(key, text) for key, text in self.expressions.items()}
        self.left_out: list[str] = []
        self._compositions = JobCompositions(lambda overrides: compose("tune", overrides))
        if not self.distributions:
            raise ConfigError("tune.space: expected a key to search, as 'optimizer.lr=interval(1e-3,1e-2)', got none")

    @classmethod
    def of(cls, expressions: Mapping[str, str], overrides: Sequence[str]) -> SearchSpace:
        """The space without the entries of configs/tune.yaml whose key the chosen sections lack.

        So `model=cnn`, or a network of one's own, is searched without model.hidden.
        """
        left_out = _not_in_sections(expressions, overrides)
        space = cls({key: text for key, text in expressions.items() if key not in left_out}, overrides)
        space.left_out = left_out
        return space

    def overrides(self, drawn: Drawn) -> list[str]:
        """The overrides with which train.py would run this trial."""
        return [*self.fixed, *(f"{key}={_word(value)}" for key, value in drawn.items())]

    def first(self) -> dict[str, Any]:
        """The values that the searched keys have without a search, for the first trial.

        A key whose value lies outside of its range is left out.
        """
        composed = compose("tune", self.fixed, return_hydra_config=True)
        groups = composed.hydra.runtime.choices
        values = {key: groups[key] if key in groups else OmegaConf.select(composed, key) for key in self.distributions}
        drawn = {key: _in(distribution, key, values[key]) for key, distribution in self.distributions.items()}
        return {key: value for key, value in drawn.items() if value is not None}

    def composed(self, overrides: Sequence[str]) -> DictConfig:
        """The configuration of train.py under these overrides, as Hydra composes it.

        Raises:
            ConfigError: they do not go together.
        """
        try:
            composed = self._compositions(overrides)
        except COMPOSITION_ERRORS as error:
            raise ConfigError(explain_composition(error, TuneConfig)) from error
        return without_sections(composed, "tune")

    def check(self) -> None:
        """Compose every choice and both ends of every range once; a search goes by accuracy, so trials must have it.

        Raises:
            ConfigError: what is wrong with one of them.
        """
        ends = {key: _ends(distribution) for key, distribution in self.distributions.items()}
        for index in range(max(len(values) for values in ends.values())):
            drawn = {key: values[index % len(values)] for key, values in ends.items()}
            config = parse(self.composed(self.overrides(drawn)), Config)
            _require_accuracy(config)
            _require_validation(config.trainer)
            require_machine(config)


def _not_in_sections(expressions: Mapping[str, str], overrides: Sequence[str]) -> list[str]:
    """The keys of default entries that are not in the configuration. An entry of the command's own stays: a mistake in
    it is to be reported.
    """
    composed, defaults = compose("tune", list(overrides)), compose("tune").tune.space
    left_out = []
    for key, text in expressions.items():
        section, _, name = key.rpartition(".")
        # A group, or a key outside of sections, is there whatever is chosen.
        there = not section or name in (OmegaConf.select(composed, section) or {})
        if not there and defaults.get(key) == text:
            left_out.append(key)
    return left_out


def _require_accuracy(config: Config) -> None:
    if "acc" not in config.metrics:
        raise ConfigError(f"metrics: a search goes by val/acc: expected acc among them, got {config.metrics}")
    if config.checkpoint.monitor != ACCURACY:
        found = config.checkpoint.monitor
        raise ConfigError(f"checkpoint.monitor: a search goes by val/acc: expected val/acc, got {found}")


def _require_validation(trainer: TrainerConfig) -> None:
    if trainer.fast_dev_run:  # always validates
        return
    if trainer.limit_val_batches == 0:
        raise ConfigError("trainer.limit_val_batches: a search goes by val/acc: expected more than 0, got 0")
    if trainer.check_val_every_n_epoch > trainer.max_epochs:
        found = trainer.check_val_every_n_epoch
        raise ConfigError(
            "trainer.check_val_every_n_epoch: a search goes by val/acc: expected at most the "
            f"{trainer.max_epochs} of trainer.max_epochs, got {found}"
        )


def _parsed(key: str, expression: str) -> Override:
    try:
        return OverridesParser.create().parse_override(f"{key}={expression}")
    except HydraException as error:
        raise ConfigError(f"tune.space: {key}: {_one_line(error)}") from error


def _distribution(key: str, expression: str) -> BaseDistribution:
    override = _parsed(key, expression)
    sweep = override.value()
    try:
        if getattr(sweep, "shuffle", False):
            raise ValueError("expected values in one order, got shuffle(...)")
        if isinstance(sweep, ChoiceSweep):
            return CategoricalDistribution(list(override.sweep_string_iterator()))
        if isinstance(sweep, IntervalSweep):
            assert sweep.start is not None and sweep.end is not None
            # Hydra makes floats of both ends; int(interval(1,8)) keeps them whole.
            whole = isinstance(sweep.start, int) and isinstance(sweep.end, int)
            interval = IntDistribution if whole else FloatDistribution
            return interval(sweep.start, sweep.end, log=_is_log(sweep))  # type: ignore[arg-type]
        if isinstance(sweep, RangeSweep):
            values = list(sweep.range())
            if not values:
                raise ValueError("an empty range")
            steps = IntDistribution if isinstance(values[0], int) else FloatDistribution
            # Hydra adds up the steps: its last value may be too small, by rounding, for Optuna to reach it.
            last = round(values[0] + (len(values) - 1) * sweep.step, 12)  # type: ignore[operator]
            return steps(values[0], last, step=sweep.step, log=_is_log(sweep))  # type: ignore[arg-type]
    except (HydraException, ValueError) as error:
        raise ConfigError(f"tune.space: {key}: {_one_line(error)} in {expression}") from error
    raise ConfigError(f"tune.space: {key}: expected choice(...), range(...) or interval(...), got {expression}")


def _is_log(sweep: IntervalSweep | RangeSweep) -> bool:
    if sweep.tags - {"log"}:
        raise ValueError(f"expected no tag but log, got {', '.join(sorted(sweep.tags))}")
    return "log" in sweep.tags


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _word(value: Any) -> str:
    """A sampled value as an override: floats with six significant digits."""
    return repr(float(f"{value:.6g}")) if isinstance(value, float) else str(value)


def _in(distribution: BaseDistribution, key: str, value: Any) -> Any:
    """`value` as the distribution would draw it, or None where it cannot."""
    if isinstance(distribution, CategoricalDistribution):
        return next((word for word in distribution.choices if _parsed(key, str(word)).value() == value), None)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    if not isinstance(value, int | float) or not distribution.low <= value <= distribution.high:
        return None
    steps = (value - distribution.low) / (distribution.step or 1)
    on_a_step = distribution.step is None or abs(steps - round(steps)) < 1e-6
    return value if on_a_step else None


def _ends(distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return [distribution.low, distribution.high]
