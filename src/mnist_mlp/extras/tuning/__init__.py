"""Hyperparameter search: trials by Optuna, each an ordinary run, with what was found as a file that train.py takes.

command, search         tune.py: trials one by one, or side by side in stacks, on every core
space                   Hydra's sweep syntax -> distributions of Optuna -> the configuration of a trial
study                   the trials of all processes, on disk; which trial is next
pruners, trial_pruning  which trials end early, and the callback that ends them
report, plots           the text, pictures and YAML file at the end
best_experiment         the best trial -> an experiment file
helpers                 the same search in a process for each other core
"""
