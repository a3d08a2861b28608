"""A trained network ready for use, from its checkpoint alone: what every other extra asks.

    predictor.Predictor         a checkpoint -> the network, its calibration, its out-of-distribution detector
        .log_probabilities          images (N, 28, 28) -> calibrated log-probabilities (N, 10)
        .in_distribution            images -> whether each shows any of the classes at all (N,)
    ood_detector.OodDetector    outputs of all layers (N, F) -> an out-of-distribution score (N,)
    decision.is_two             a wide piece and its halves -> whether it is read as two digits that touch
    decision.doubts             probabilities and scores of a picture's digits -> which of them are in doubt
    predictions.Predictions     log-probabilities with labels; how much may be answered at what risk

Other extras import this folder; it imports none of them.
"""
