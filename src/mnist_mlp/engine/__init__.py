"""Trains one or more networks of one shape: chunks, the written-out step, CUDA graphs, stacks."""
