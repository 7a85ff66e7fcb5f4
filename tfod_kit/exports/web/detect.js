// A TensorFlow.js detector: `const detector = await load(); await detector.detect(canvas)`.
// Needs tf.min.js, and tf-backend-wasm.min.js for the backend "wasm", loaded before.

/**
 * Loads the model that lies beside this page.
 * @param {string} backend "wasm", "webgl" or "cpu"
 * @returns {Promise<Detector>}
 */
export async function load(backend = "wasm") {
  tf.wasm.setWasmPaths("tf/");
  if (!(await tf.setBackend(backend))) throw new Error(`This browser has no ${backend}.`);
  await tf.ready();
  const labels = await (await fetch("labels.json")).json();
  const model = await tf.loadGraphModel("web_model/model.json");
  return new Detector(model, labels);
}

class Detector {
  constructor(model, labels) {
    this.model = model;
    this.name = labels.model;
    this.classes = labels.classes;
    // The converter numbers the outputs of the signature in the order of their names.
    this.names = labels.outputs;
    this.outputs = this.names.map((_, place) => (place ? `Identity_${place}:0` : "Identity:0"));
  }

  get backend() {
    return tf.getBackend();
  }

  /**
   * The objects in a picture, highest score first.
   * @param {HTMLCanvasElement|ImageBitmap|HTMLVideoElement} picture
   * @returns {Promise<object[]>} label, score, colour [r, g, b], and box [ymin, xmin, ymax, xmax] in
   *   [0, 1]. If the model has them: keypoints [{y, x, score}], of which those of other classes have
   *   the score 0; and mask {rows, columns, values}, stretched over the box: see masks.js.
   */
  async detect(picture) {
    const image = tf.tidy(() => tf.browser.fromPixels(picture).expandDims(0));
    let results = [];
    try {
      results = await this.model.executeAsync({ [this.model.inputs[0].name]: image }, this.outputs);
      const data = await Promise.all(results.map((result) => result.data()));
      const found = Object.fromEntries(this.names.map((name, place) => [name, data[place]]));
      const shapes = Object.fromEntries(
        this.names.map((name, place) => [name, results[place].shape]),
      );
      const rows = Array.from(found.detection_scores, (score, row) => ({
        ...this._class(found.detection_classes[row]),
        score,
        box: Array.from(found.detection_boxes.slice(4 * row, 4 * row + 4)),
        ...keypoints(found, shapes, row),
        ...mask(found, shapes, row),
      }));
      return rows.filter((item) => item.score > 0); // the others only pad the output
    } finally {
      tf.dispose([image, results]);
    }
  }

  _class(number) {
    const known = this.classes[String(number)] ?? { name: String(number), colour: [128, 128, 128] };
    return { label: known.name, colour: known.colour };
  }

  dispose() {
    this.model.dispose();
  }
}

/** The keypoints of one detection, from [1, N, K, 2] and scores [1, N, K], if there are any. */
function keypoints({ detection_keypoints: points, detection_keypoint_scores: scores }, shapes, row) {
  if (!points) return {};
  const count = shapes.detection_keypoints[2];
  const one = (_, place) => {
    const index = row * count + place;
    return { y: points[2 * index], x: points[2 * index + 1], score: scores?.[index] ?? 1 };
  };
  return { keypoints: Array.from({ length: count }, one) };
}

/** The mask of one detection, from [1, N, rows, columns], if there is one. */
function mask({ detection_masks: masks }, shapes, row) {
  if (!masks) return {};
  const [rows, columns] = shapes.detection_masks.slice(2);
  const size = rows * columns;
  return { mask: { rows, columns, values: masks.slice(row * size, (row + 1) * size) } };
}
