"""TFRecords without TensorFlow: examples, shards and the images inside them."""
