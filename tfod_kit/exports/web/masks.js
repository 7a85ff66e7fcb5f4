// Masks of objects: a model gives each as a small grid that is stretched over the object's box.

const INSIDE = 0.5;

/**
 * The pixels between two edges, and their positions among the cells of a grid: the centres of the
 * outer cells lie on the edges.
 */
function positions(start, end, pixels, cells) {
  const found = { first: 0, positions: [] };
  if (!(end > start)) return found;
  const last = Math.max(pixels - 1, 1);
  for (let pixel = 0; pixel < pixels; pixel += 1) {
    const position = ((pixel / last - start) / (end - start)) * (cells - 1);
    if (position < 0 || position > cells - 1) continue;
    if (!found.positions.length) found.first = pixel;
    found.positions.push(position);
  }
  return found;
}

/**
 * Stretches a mask over its box.
 * @param {{rows: number, columns: number, values: Float32Array}} mask values from 0 to 1, by rows
 * @param {number[]} box [ymin, xmin, ymax, xmax] in [0, 1]
 * @param {number} height of the image, px
 * @param {number} width of the image, px
 * @returns {{top: number, left: number, height: number, width: number, inside: Uint8Array}} a part
 *   of the image, and for each of its pixels, by rows, whether it is inside
 */
export function stretched(mask, [ymin, xmin, ymax, xmax], height, width) {
  const down = positions(ymin, ymax, height, mask.rows);
  const across = positions(xmin, xmax, width, mask.columns);
  const part = {
    top: down.first,
    left: across.first,
    height: down.positions.length,
    width: across.positions.length,
  };
  const at = (row, column) => mask.values[row * mask.columns + column];
  const inside = new Uint8Array(part.height * part.width);
  down.positions.forEach((y, row) => {
    const above = Math.floor(y);
    const below = Math.min(above + 1, mask.rows - 1);
    across.positions.forEach((x, column) => {
      const before = Math.floor(x);
      const after = Math.min(before + 1, mask.columns - 1);
      const left = at(above, before) + (y - above) * (at(below, before) - at(above, before));
      const right = at(above, after) + (y - above) * (at(below, after) - at(above, after));
      inside[row * part.width + column] = left + (x - before) * (right - left) > INSIDE;
    });
  });
  return { ...part, inside };
}

/** The run lengths of a whole image, by columns, as COCO counts them: the first one is outside. */
export function runLengths(part, height, width) {
  const counts = [];
  let [value, count] = [0, 0];
  for (let x = 0; x < width; x += 1) {
    for (let y = 0; y < height; y += 1) {
      const [row, column] = [y - part.top, x - part.left];
      const isIn = row >= 0 && row < part.height && column >= 0 && column < part.width;
      const next = isIn ? part.inside[row * part.width + column] : 0;
      if (next !== value) {
        counts.push(count);
        [value, count] = [next, 0];
      }
      count += 1;
    }
  }
  counts.push(count);
  return counts;
}
