"""Calibration of a trained network, kept in best.ckpt: how sure it is, and which predictions are accepted.

Temperature and limits are fitted on validation images, the detector on training images.

calibrate.calibrate             a checkpoint -> the same with temperature, threshold, limits, and perhaps a detector
    fit                             validation -> temperature (Guo et al. 2017) and threshold for a given risk
    ood_training.fit_ood_detector   training images and outliers -> an out-of-distribution (OOD) detector
        synthetic_outliers.make         images of the classes -> images of no class
"""
