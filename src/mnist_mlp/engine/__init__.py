"""Trains M >= 1 networks of one shape, in the steps of Lightning's own loop and a fraction of its time.

    modules, data -> member.py: what each network has of its own -> stack.py: what Lightning trains -> chunks.py

    chunks.py       the optimizer steps up to the next point where something happens; Lightning sees them as one batch
    run_length.py   how long a run is, counted in optimizer steps
    choose_step.py  which of the two steps trains the members
      written_step.py    the chain rule written out for M perceptrons at once:
                         stacked_mlp.py, stacked_loss.py, stacked_optimizer.py; cuda_graphs.py records it on a GPU
      autograd_step.py   `training_step` and autograd, for whatever the written-out step does not know
    hooks.py        hands Lightning's hooks on to each member's module and callbacks

A single run is a stack of one. The engine asks a `DigitClassifier` for its network, loss, optimizer and schedule, and
compares its own step with the module's `training_step` on one batch before it begins.
"""
