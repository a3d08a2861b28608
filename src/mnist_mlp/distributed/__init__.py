"""Distributed training of one network by several ranks, on one machine or many; and the hardware of this machine.

    preflight.require_machine   refuses a configuration that this machine cannot train, in one line
        hardware                    GPUs and cores, from the drivers, without importing torch
    launch.launched             starts the other ranks, unless torchrun or srun has; every rank runs the `with` block
        world.world                 rank and world size, from the environment of torchrun, srun or rank 0
        store.rendezvous_store      torch's store, at which the ranks meet; rank 0 sends each job through it, as JSON
        store.process_group         torch's process group for one job; the death of a rank becomes a ProcessError
    strategy.SharedMinibatches  Lightning's strategy: each rank trains on its part of every minibatch

torch starts and watches the processes and ends all when one dies (`start_processes`), records their exceptions
(`record`), and provides the rendezvous (`rendezvous`, `TCPStore`). This folder adds:

- Rank 0 is the command itself, and starts ranks 1, 2, ...: torch's `elastic_launch` would turn the command into an
  agent and train in a child, without the command's log file and signals.
- One line when a rank dies: torch prints twenty, and only after the time-out of a collective operation.
- Ranks above 0 end with rank 0 (`_end_with_rank_0`): a collective operation of NCCL would wait ten minutes for it.
- Rank 0 sends jobs through the store (`store` says why). Under srun, for which torch has no rendezvous, `store` also
  chooses the port.
"""
