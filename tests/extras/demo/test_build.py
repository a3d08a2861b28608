"""What a page is refused for, before it is written: needs neither node nor a browser."""

import pytest
from helpers import untrained_network as untrained
from helpers.data_sets import synthetic

from mnist_mlp.config.errors import ExportError
from mnist_mlp.config.schema import ACTIVATIONS
from mnist_mlp.extras.demo.build import activations, build


def test_the_page_knows_every_activation_that_a_network_may_have():
    assert sorted(activations()) == sorted(ACTIVATIONS)


def test_an_activation_that_the_page_does_not_know_is_refused(tmp_path):
    predictor = untrained.predictor(tmp_path)
    predictor.config.model.activation = "mish"
    with pytest.raises(ExportError, match=r"expected a network with one of relu, .*, got model\.activation=mish"):
        build(predictor, synthetic())
