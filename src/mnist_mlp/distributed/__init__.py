"""The ranks that train one network, on one machine or on many, and the hardware that they find.

    preflight.require_machine   a configuration -> refused in one line where this machine cannot do what it asks
        hardware                    accelerators, cores: asked of the drivers, without importing torch
    launch.launched             a configuration and a directory -> all ranks inside of one block
        world.world                 the environment of torchrun, srun or rank 0 -> rank and size
        store.meet                  torch's rendezvous -> torch's store; there rank 0 gives the jobs, as JSON
        store.process_group         a job -> torch's process group, which turns a rank that is gone into a ProcessError
    strategy.SharedMinibatches  what Lightning is given: one device for each rank, gradients summed by share

torch starts the processes, watches them and ends the others when one dies (`start_processes`), keeps what they raise
(`record`), and lets them meet (`rendezvous`, `TCPStore`). What is our own, and why:

- Rank 0 is the command itself, and starts ranks 1, 2, ...: `elastic_launch` would keep the command as an agent and
  train in a child, which has neither the command's log file nor its signals.
- One line for a rank that dies: torch reports in twenty, and after the time-out of an operation that hangs.
- Ranks above 0 end with rank 0 (`_end_with_rank_0`): an operation of NCCL would wait ten minutes for it.
- Jobs through the store: see `store`. The ports of srun: torch has no rendezvous for it.
"""
