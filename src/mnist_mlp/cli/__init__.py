"""From a command line to a typed configuration, and from an error to an exit code.

app.py          `run_app`: composes with Hydra, calls a command's main once, or once per job of a sweep
checks.py       refuses what is wrong before any work
header.py       what begins now: network, data, length, device, directory
sweep.py        the jobs of a sweep, its record, its leaderboard at the end
exit_codes.py   errors as one line
console.py      lines beside a progress bar; output that cannot be written
startup.py      shortens the import of torch and Lightning; ending.py skips their slow destruction at exit
"""

from mnist_mlp.cli import ending as ending  # before anything else that wants to be called at the end of the process
