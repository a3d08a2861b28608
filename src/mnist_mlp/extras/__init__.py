"""Extras, which training does not need.

inference           a trained network, from its checkpoint alone
calibration         temperature, threshold and out-of-distribution detector, fitted after training
evaluation          metrics, tables and pictures of networks: evaluate.py
handwriting         the digits in photographs, scans and drawings: predict.py
leaderboard         tables and pages over many runs: compare.py, and the end of a sweep
tensorboard         pictures, histograms and tables in TensorBoard
tuning              the search: tune.py
stacked_launcher    sweeps whose networks train together: hydra/launcher=stacked
demo                the page to draw on: demo.py
onnx_export.py      ONNX and safetensors: export.py
"""
