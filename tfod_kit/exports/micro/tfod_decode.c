/* See tfod_decode.h. */
#include "tfod_decode.h"

#include <math.h>

static float real(tfod_value value, float scale, int zero) {
  return ((float)value - (float)zero) * scale;
}

static float smaller(float a, float b) { return a < b ? a : b; }
static float larger(float a, float b) { return a > b ? a : b; }

/* The box of an anchor: centre and size relative to the anchor's. */
static void decode_box(const tfod_value *code, const float *anchor, tfod_detection *box) {
  const float y = real(code[0], TFOD_BOX_SCALE, TFOD_BOX_ZERO) / TFOD_Y_SCALE;
  const float x = real(code[1], TFOD_BOX_SCALE, TFOD_BOX_ZERO) / TFOD_X_SCALE;
  const float h = real(code[2], TFOD_BOX_SCALE, TFOD_BOX_ZERO) / TFOD_H_SCALE;
  const float w = real(code[3], TFOD_BOX_SCALE, TFOD_BOX_ZERO) / TFOD_W_SCALE;
  const float centre_y = y * anchor[2] + anchor[0];
  const float centre_x = x * anchor[3] + anchor[1];
  const float half_h = 0.5f * expf(h) * anchor[2];
  const float half_w = 0.5f * expf(w) * anchor[3];
  box->ymin = centre_y - half_h;
  box->xmin = centre_x - half_w;
  box->ymax = centre_y + half_h;
  box->xmax = centre_x + half_w;
}

static float area(const tfod_detection *box) {
  return (box->ymax - box->ymin) * (box->xmax - box->xmin);
}

static float overlap(const tfod_detection *a, const tfod_detection *b) {
  const float height = smaller(a->ymax, b->ymax) - larger(a->ymin, b->ymin);
  const float width = smaller(a->xmax, b->xmax) - larger(a->xmin, b->xmin);
  const float common = larger(height, 0.0f) * larger(width, 0.0f);
  const float all = area(a) + area(b) - common;
  return all > 0.0f ? common / all : 0.0f;
}

/* Whether a kept detection of the class suppresses a box, or the class has its share already. */
static int suppressed(const tfod_detection *box, const tfod_detection *found, int count) {
  int same = 0;
  for (int i = 0; i < count; ++i) {
    if (found[i].class_index != box->class_index) continue;
    ++same;
    if (overlap(box, &found[i]) > TFOD_IOU_THRESHOLD) return 1;
  }
  return same >= TFOD_MAX_PER_CLASS;
}

int tfod_decode(const tfod_value *boxes, const tfod_value *scores, float min_score,
                tfod_detection *found, int room) {
  const int total = TFOD_ANCHORS * TFOD_CLASSES;
  const float least = larger(min_score, TFOD_MIN_SCORE);
  int last = -1; /* index of the candidate before: they come by falling score, then by index */
  int count = 0;
  if (room > TFOD_MAX_DETECTIONS) room = TFOD_MAX_DETECTIONS;
  while (count < room) {
    int best = -1;
    for (int i = 0; i < total; ++i) {
      if (last >= 0 && (scores[i] > scores[last] || (scores[i] == scores[last] && i <= last)))
        continue;
      if (best < 0 || scores[i] > scores[best]) best = i;
    }
    if (best < 0) break;
    last = best;
    tfod_detection next;
    next.score = real(scores[best], TFOD_SCORE_SCALE, TFOD_SCORE_ZERO);
    if (!(next.score > least)) break;
    next.class_index = best % TFOD_CLASSES;
    const int anchor = best / TFOD_CLASSES;
    decode_box(boxes + 4 * anchor, tfod_anchors[anchor], &next);
    if (!suppressed(&next, found, count)) found[count++] = next;
  }
  for (int i = 0; i < count; ++i) {
    found[i].ymin = smaller(larger(found[i].ymin, 0.0f), 1.0f);
    found[i].xmin = smaller(larger(found[i].xmin, 0.0f), 1.0f);
    found[i].ymax = smaller(larger(found[i].ymax, 0.0f), 1.0f);
    found[i].xmax = smaller(larger(found[i].xmax, 0.0f), 1.0f);
  }
  return count;
}
