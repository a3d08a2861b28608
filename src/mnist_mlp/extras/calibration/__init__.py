"""Calibration of when a trained network may answer, fitted on images that it was not trained on; kept in best.ckpt.

calibrate.calibrate             a checkpoint -> the same with temperature, threshold and limits
    fit                             validation -> temperature (Guo et al. 2017) and threshold for a given risk
    ood_training.fit_ood_detector   training images and outliers -> a detector of what is no class
        synthetic_outliers.make         images of the classes -> images of none
"""
