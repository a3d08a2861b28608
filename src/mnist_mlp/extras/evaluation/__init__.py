"""Evaluation of a trained network, in numbers, tables and pictures.

    evaluate.evaluate       checkpoints -> metrics.json, pictures, report.html, and tables for the terminal
        ensemble.predict_all    networks, images -> predictions of each, calibrated, and of all of them together
        metrics                 predictions -> accuracy, losses, calibration, confusion, tests; float64
        corruptions             images -> the same images moved, turned, blurred, covered
        tables                  numbers -> text, at most 80 columns wide
        pictures.draw           predictions -> PNG files
            confusion_picture, mistakes_picture     two of them, by Pillow; TensorBoard shows them too
            plots                                   the others, by Matplotlib
        page.write_page         all of it -> one HTML page

Images are `(N, C, H, W)` uint8 of any size, in grey or colour; classes may be a thousand.
"""
