"""A model of each kind of layer, quantised: what TensorFlow Lite computes from it is the same."""

import numpy as np
import pytest

from tfod_kit.engine import runtime
from tfod_kit.engine.quantisation import Quantisation

pytestmark = pytest.mark.slow

SIZE = 16


def tiny_model():
    """The layers of MobileNet and EfficientDet, once each, with the methods of upstream's model."""
    tf = runtime.start()
    from object_detection.core import freezable_batch_norm
    from object_detection.utils import bifpn_utils

    layers = tf.keras.layers
    tf.keras.utils.set_random_seed(3)

    class Model(tf.Module):
        """Two levels that a weighted sum joins, and a sum outside of any layer."""

        def __init__(self):
            super().__init__()
            self._is_training = True
            self.stem = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)
            self.depthwise = layers.DepthwiseConv2D(3, padding="same", use_bias=False)
            self.narrow = layers.Conv2D(8, 1, use_bias=False)
            self.norms = [freezable_batch_norm.FreezableBatchNorm(training=False) for _ in range(3)]
            self.relu = layers.ReLU(6.0)
            self.swish = layers.Activation(tf.nn.swish)
            self.pool = layers.GlobalAveragePooling2D(keepdims=True)
            self.gate = layers.Conv2D(8, 1)
            self.sigmoid = layers.Activation("sigmoid")
            self.excite = layers.Multiply()
            self.weighted = bifpn_utils.BiFPNCombineLayer("fast_attention")
            self.drop = layers.Dropout(0.5)
            self.separable = layers.SeparableConv2D(8, 3, padding="same")
            self.head = layers.Conv2D(4, 1)

        def preprocess(self, images):
            return tf.image.resize(images, (SIZE, SIZE)) / 255, None

        def predict(self, images, _):
            training = self._is_training
            stem = self.relu(self.norms[0](self.stem(images)))
            swish = self.swish(self.norms[1](self.depthwise(stem)))
            gate = self.sigmoid(self.gate(self.pool(swish)))
            gated = self.excite([swish, gate])
            block = self.norms[2](self.narrow(gated))
            joined = self.weighted([stem, self.drop(block, training=training), swish])
            outer = self.separable(joined + stem)  # a sum outside of any layer
            return {"head": self.head(outer)}

    return Model()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).uniform(0, 255, (4, SIZE, SIZE, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def trained(images):
    """A quantised model whose ranges were learnt, and its Quantisation."""
    model = tiny_model()
    inputs, shape = model.preprocess(runtime.start().constant(images))
    model.predict(inputs, shape)
    quantisation = Quantisation(model)
    for _ in range(3):
        model.predict(inputs, shape)
    model._is_training = False
    return model, quantisation


def test_every_tensor_that_needs_a_range_has_learnt_one(trained):
    _, quantisation = trained
    low = np.array([each.numpy() for each in quantisation.ranges.minimum])
    high = np.array([each.numpy() for each in quantisation.ranges.maximum])
    # The image, RELU, the two of swish, the mean, the gate, the product, the block, three products
    # and one sum of the weighted sum, its result, the outer sum, two of the separable convolution,
    # the head. The sigmoid's range is fixed.
    assert len(low) == 17
    assert (low <= 0).all()
    assert (high > 0).all()
    assert quantisation.ranges.batches.numpy() == 3
    assert high[0] == pytest.approx(1, abs=0.01)


def test_gradients_pass_and_kernels_stay_variables(trained, images):
    tf = runtime.start()
    model, _ = trained
    inputs, shape = model.preprocess(tf.constant(images))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model.predict(inputs, shape)["head"] ** 2)
    kernels = [model.stem.kernel, model.depthwise.depthwise_kernel, model.weighted.weights[0],
               model.separable.depthwise_kernel, model.separable.pointwise_kernel]  # fmt: skip
    assert all(isinstance(kernel, tf.Variable) for kernel in kernels)
    for gradient in tape.gradient(loss, kernels):
        assert np.abs(gradient).max() > 0


def test_kernels_are_rounded_by_channel(trained):
    model, quantisation = trained
    kernel = model.depthwise.depthwise_kernel
    rounded = quantisation._rounded(kernel, depthwise=True).numpy()
    for channel in range(8):
        scale = np.abs(kernel.numpy()[:, :, channel]).max() / 127
        steps = rounded[:, :, channel] / scale
        assert np.abs(steps - steps.round()).max() < 1e-3
        assert np.abs(steps).max() == pytest.approx(127, abs=1e-3)
        assert np.abs(rounded - kernel)[:, :, channel].max() <= 0.501 * scale


def test_tensorflow_lite_computes_the_same_in_integers(trained, images):
    tf = runtime.start()
    model, quantisation = trained
    inputs, shape = model.preprocess(tf.constant(images[:1]))
    expected = model.predict(inputs, shape)["head"].numpy()

    quantisation._kernels = False  # the converter rounds them
    spec = tf.TensorSpec((1, SIZE, SIZE, 3))
    function = tf.function(lambda value: model.predict(value, None)["head"])
    concrete = function.get_concrete_function(spec)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    content = converter.convert()
    quantisation._kernels = True

    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], inputs.numpy())
    interpreter.invoke()
    (output,) = interpreter.get_output_details()
    difference = np.abs(interpreter.get_tensor(output["index"]) - expected)
    low, high = quantisation.ranges.minimum[-1], quantisation.ranges.maximum[-1]
    step = (float(high) - float(low)) / 255
    assert difference.mean() < 1.5 * step
    assert difference.max() < 6 * step
    types = {each["index"]: each["dtype"] for each in interpreter.get_tensor_details()}
    floats = {
        each["op_name"]
        for each in interpreter._get_ops_details()
        if each["op_name"] != "DELEGATE" and types[each["outputs"][0]] != np.int8
    }
    assert floats == {"DEQUANTIZE"}


def test_a_model_in_detection_does_not_change_its_ranges(trained, images):
    model, quantisation = trained
    before = [each.numpy() for each in quantisation.ranges.maximum]
    brighter, shape = model.preprocess(runtime.start().constant(images * 3))
    model.predict(brighter, shape)
    assert [each.numpy() for each in quantisation.ranges.maximum] == before
