"""Networks, losses and metrics in plain torch: the parts of `DigitClassifier`, the LightningModule.

    images (B, C, H, W) uint8 -> networks.py: normalise, layers -> logits (B, classes) -> head -> losses.py, metrics.py

Each file has a table of names for the configuration: `NETWORKS` for `model.name`, `LOSSES` for `model.loss`, `METRICS`
for `metrics`. size.py counts parameters from the configuration alone, without torch.
"""
