"""Calibration of when a trained network may answer, kept in best.ckpt.

Temperature and limits are fitted on validation images, the detector on training images.

calibrate.calibrate             a checkpoint -> the same with temperature, threshold and limits
    fit                             validation -> temperature (Guo et al. 2017) and threshold for a given risk
    ood_training.fit_ood_detector   training images and outliers -> a detector of what is no class
        synthetic_outliers.make         images of the classes -> images of none
"""
