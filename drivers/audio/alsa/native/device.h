/* The device as alsa-lib shows it: all its sub-devices open in both directions, the first of each streaming. */
#ifndef OUTBOARD_ALSA_DEVICE_H
#define OUTBOARD_ALSA_DEVICE_H

#include <alsa/asoundlib.h>
#include <stdbool.h>

#define MAX_SUBDEVICES 32
#define NAME_BYTES 96

enum direction { PLAYBACK, CAPTURE };

/* What is asked of both directions. Nothing is rounded to what the device has. */
struct request {
  unsigned rate;
  unsigned channels[2];
  unsigned sample_bytes; /* 4: S32_LE, 3: S24_3LE */
  snd_pcm_uframes_t period, buffer;
  int64_t ring;
};

struct device {
  char names[2][MAX_SUBDEVICES][NAME_BYTES];
  unsigned counts[2];
  snd_pcm_t *pcm[2][MAX_SUBDEVICES]; /* open from device_open to device_close */
  bool linked;                       /* both directions start on one edge */
  char refusal[240];                 /* what was asked and what is offered instead; empty when the error was another one */
};

/* All return 0 or a negative errno. */
int device_open(struct device *d);
int device_configure(struct device *d, const struct request *q);
int device_start(struct device *d);
/* Silence, at once. */
void device_halt(struct device *d);
void device_close(struct device *d);
/* Unplugged, as far as it can be seen while nothing streams. */
bool device_gone(struct device *d);
/* Opens and closes again. */
int device_probe(const char *name, enum direction direction);

#endif
