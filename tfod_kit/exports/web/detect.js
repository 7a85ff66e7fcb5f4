// A TensorFlow.js detector: `const detector = await load(); await detector.detect(canvas)`.
// Needs tf.min.js, and tf-backend-wasm.min.js for the backend "wasm", loaded before.

const OUTPUTS = ["detection_boxes", "detection_classes", "detection_scores"];

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
    // The converter numbers a signature's results in the order of their names.
    this.outputs = OUTPUTS.map((_, place) => (place ? `Identity_${place}:0` : "Identity:0"));
  }

  get backend() {
    return tf.getBackend();
  }

  /**
   * The objects in a picture, highest score first.
   * @param {HTMLCanvasElement|ImageBitmap|HTMLVideoElement} picture
   * @returns {Promise<{label: string, score: number, box: number[], colour: number[]}[]>}
   *   box is [ymin, xmin, ymax, xmax] in [0, 1].
   */
  async detect(picture) {
    const image = tf.tidy(() => tf.browser.fromPixels(picture).expandDims(0));
    let results = [];
    try {
      results = await this.model.executeAsync({ [this.model.inputs[0].name]: image }, this.outputs);
      const [boxes, classes, scores] = await Promise.all(results.map((result) => result.data()));
      const rows = Array.from(scores, (score, row) => ({
        ...this._class(classes[row]),
        score,
        box: Array.from(boxes.slice(4 * row, 4 * row + 4)),
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
