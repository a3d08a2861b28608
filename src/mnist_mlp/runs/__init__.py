"""What a run leaves: checkpoint file, result, resume, loggers, directories."""
