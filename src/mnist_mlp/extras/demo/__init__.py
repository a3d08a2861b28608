"""One page to draw on, with a trained network inside: the parts are here, `build` puts them together."""
