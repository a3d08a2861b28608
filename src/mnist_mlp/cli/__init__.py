"""From a command line to a typed configuration, and from an error to an exit code."""
