"""From a command line to a typed configuration, and from an error to an exit code."""

from mnist_mlp.cli import ending as ending  # before anything else that wants to be called at the end of the process
