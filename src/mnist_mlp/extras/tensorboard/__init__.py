"""TensorBoard beyond scalars: pictures, histograms, curves and points of a network in training.

    dashboard.Dashboard     a Lightning callback: when to look, and at what; it changes no bit of the run
        probe                   a network -> its layers, activations and gradients, and the input of its last layer
        summaries               arrays -> TensorBoard's events: histograms, curves, graph, HParams, layout
        first_layer             weights -> an image for each unit
        projector               points, labels, images -> the files of TensorBoard's projector
        crc32c                  bytes -> the checksum of TensorBoard's records; TensorBoard's own code is slow

The confusion matrix and the worst mistakes are those of `extras/evaluation`. The scalars themselves are logged by
`callbacks/history.py`.
"""
