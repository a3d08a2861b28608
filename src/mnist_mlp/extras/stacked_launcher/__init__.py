"""Stacked launcher: trains the jobs of a sweep side by side, those of one shape as one stack.

    grouping.py       jobs that can be trained side by side, divided into stacks
    dispatch.py       stacks handed to a backend, and handed out again where they were lost
    backends.py       the backends by name, what a stack gets there, and checks of the launcher's keys
      worker_pool.py    processes of this machine
      on_submitit.py    jobs of SLURM, or submitit's processes on this machine
      on_ray.py         tasks of a Ray cluster
    worker.py         trains one stack, in any of these

`hydra_plugins/stacked.py` is its way into Hydra: `hydra/launcher=stacked`.
"""
