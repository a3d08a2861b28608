"""Engine: trains M >= 1 networks of one shape, with the steps of Lightning's own loop in a fraction of its time.

    assembly.py                     module, data module and trainer for one run or several
    train_stack.py                  training of several runs at once
    member.py, member_trainer.py    one network with its optimizer, callbacks and loggers
    configured_optimizer.py         what its module's `configure_optimizers` returns
    member_checkpoint_io.py         its checkpoints, written when Lightning saves the stack
    stack.py, chunked_data.py       the LightningModule of M members, and its data module
    hooks.py, overrides.py          Lightning's hooks, called for each member; unsupported hooks are refused
    loader_check.py                 loaders of the data module that the engine would not use are refused
    chunks.py, chunked_length.py    chunks: many optimizer steps that Lightning sees as one batch
    job.py, common_checkpoints.py   what to train, and the checkpoints from which the jobs of a stack resume
    choose_step.py                  which of the two implementations of a training step is used
      hand_written_step.py              without autograd, for M perceptrons at once: step_inputs.py, stacked_mlp.py,
                                        stacked_loss.py, stacked_optimizer.py over the memory of flat.py; on a GPU
                                        cuda_graphs.py
      autograd_step.py                  the module's own `training_step` and autograd
    epoch_log.py                    what `self.log` collects

A single run is a stack of one. The engine takes network, loss, optimizer and schedule from a `DigitClassifier`. Before
the first step it compares its own step with the module's `training_step`, and uses that one if they differ.
"""
