/* Detections from the outputs of a model that `tfod export --target tflite_micro` wrote.
 *
 * Copyright of the project tfod_kit; licensed under the Apache License 2.0. Needs no memory but the
 * caller's, and of the C library expf alone. */
#ifndef TFOD_DECODE_H_
#define TFOD_DECODE_H_

#include "tfod_model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A detected object. Edges are parts of the image's sides, 0 to 1. */
typedef struct {
  float ymin, xmin, ymax, xmax;
  float score;
  int class_index; /* of tfod_class_names, from 0 */
} tfod_detection;

/* Decodes the outputs of one image.
 *
 * boxes: TFOD_ANCHORS * 4 values, the output of three dimensions.
 * scores: TFOD_ANCHORS * TFOD_CLASSES values, the output of two dimensions.
 * min_score: objects with a lower score are left out; at least TFOD_MIN_SCORE is used.
 * found: room for `room` detections; TFOD_MAX_DETECTIONS are enough.
 *
 * Returns the number of detections, highest score first. The time is proportional to
 * TFOD_ANCHORS * TFOD_CLASSES * (the number of scores above min_score). */
int tfod_decode(const tfod_value *boxes, const tfod_value *scores, float min_score,
                tfod_detection *found, int room);

#ifdef __cplusplus
}
#endif
#endif /* TFOD_DECODE_H_ */
