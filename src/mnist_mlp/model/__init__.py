"""Networks, losses and metrics in plain torch: what Lightning's module is made of.

    images (B, C, H, W) uint8 -> networks.py: normalise, layers -> logits (B, classes) -> head -> losses.py, metrics.py

Each file ends in one table, and a name in the configuration is a key of it: `model.name` of `NETWORKS`, `model.loss` of
`LOSSES`, `metrics` of `METRICS`.
"""
