"""`python -m mnist_mlp.cli.rank_worker`: a rank above 0, which rank 0 starts and which trains with it until it ends."""

from __future__ import annotations

from mnist_mlp.cli.ending import exit_process
from mnist_mlp.cli.exit_codes import exit_codes
from mnist_mlp.distributed.launch import train_jobs

if __name__ == "__main__":
    with exit_codes():
        from mnist_mlp.training import train  # imports torch and Lightning

        code = train_jobs(train)
    exit_process(code)
