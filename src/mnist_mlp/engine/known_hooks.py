"""Known hooks: those of Lightning that the engine calls. A module or callback that overrides another one is refused."""

from __future__ import annotations

import lightning as L

from mnist_mlp.config.errors import ConfigError

FORWARDED = frozenset(
    {"on_fit_start", "on_train_start", "on_train_epoch_start", "on_train_batch_start", "on_train_batch_end"}
    | {"on_validation_start", "on_validation_epoch_start", "on_validation_batch_start", "on_validation_batch_end"}
    | {"on_validation_epoch_end", "on_validation_end", "on_train_epoch_end", "on_train_end", "on_fit_end"}
    | {"on_test_start", "on_test_epoch_end", "on_test_end", "on_save_checkpoint", "on_load_checkpoint"}
)
OF_MODULE = FORWARDED | {
    *("forward", "training_step", "validation_step", "test_step", "predict_step"),
    *("configure_optimizers", "load_from_checkpoint", "log", "trainer"),
}
OF_CALLBACK = FORWARDED | {"state_dict", "load_state_dict", "state_key", "setup"}


def refuse_unknown_hooks(module: L.LightningModule, callbacks: list[L.Callback]) -> None:
    """Check that the engine calls every hook that the module and the callbacks override.

    Raises:
        ConfigError: one of them overrides a hook that only Lightning's own loop calls.
    """
    for owner, base, known in [
        (module, L.LightningModule, OF_MODULE),
        *((c, L.Callback, OF_CALLBACK) for c in callbacks),
    ]:
        hooks = {name for name in dir(base) if not name.startswith("_")} - known
        for name in sorted(hooks):
            if getattr(type(owner), name, None) is not getattr(base, name) and callable(getattr(base, name)):
                raise ConfigError(
                    f"{type(owner).__name__}.{name}: engine=fast does not call this hook; engine=plain does"
                )


def wants_each_step(callback: L.Callback) -> bool:
    """Whether the callback has a hook around a batch, which the engine would otherwise call once for each chunk."""
    hooks = ("on_train_batch_start", "on_train_batch_end")
    return any(getattr(type(callback), name) is not getattr(L.Callback, name) for name in hooks)
