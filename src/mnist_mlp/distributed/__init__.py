"""Several processes that train one network: launch, store, world, strategy."""
