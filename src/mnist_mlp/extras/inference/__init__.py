"""A trained network ready for use, from its checkpoint alone: for evaluation, handwriting, export and the page.

An *answer* is an accepted prediction; the others are rejected as unsure (selective classification).

    predictor.Predictor         a checkpoint -> the network, its calibration, its out-of-distribution detector
        .log_probabilities          images (N, C, H, W) -> calibrated log-probabilities (N, classes)
        .ood_score                  images -> how little each looks like any of the classes (N,)
    ood_detector.OodDetector    outputs of layers (N, F) -> an out-of-distribution score (N,)
    decision.is_two             a wide piece and its halves -> whether it is read as two digits that touch
    decision.doubts             probabilities and scores of a picture's digits -> which of them are in doubt
    predictions.Predictions     log-probabilities with labels; how much may be answered at what risk

Other extras import this folder; it imports none of them.
"""
