"""Files of a run and of a sweep: written, found again, and resumed from.

    directories, newest             run directories below a folder; the newest or best of them
    record                          run.json and sweep.json, written first: what was started, and how
    result                          result.json, written at the end: status, metrics, history
    checkpoint_file, checkpoint_io  checkpoints: written atomically, verified, never unpickled
    thinning                        `sweep.keep`: deletes most files of a completed job of a large sweep
    run_directory                   the directory of one run: locked, and resumed only with the same configuration
    chosen_checkpoint               the key `checkpoint`: which checkpoints a command uses
    resume_checkpoint               the checkpoints from which a stopped run can resume
    resume                          `resume=<directory>`: the command line and configuration of a stopped run
    loggers, run_name               TensorBoard, CSV, MLflow, Weights & Biases; the overrides by which they name a run
    directory_lock, atomic_write    a lock on a directory; files that are replaced as a whole
    monitored, metric_text          the metric that decides which epoch or run is the best; a metric as text
    signals                         SIGINT, SIGTERM and SIGHUP
    command_line                    commands to print for the user

Reading them never runs code: checkpoints hold tensors and plain values; records and results are JSON, older ones YAML.
"""
