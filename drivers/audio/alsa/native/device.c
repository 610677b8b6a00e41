#define _GNU_SOURCE
#include "device.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const WORDS[2] = {"playback", "capture"};
static const snd_pcm_stream_t STREAMS[2] = {SND_PCM_STREAM_PLAYBACK, SND_PCM_STREAM_CAPTURE};

/* alsa-lib would print; what went wrong is in the answers. */
static void silent(const char *file, int line, const char *function, int err, const char *format, ...) {
  (void)file, (void)line, (void)function, (void)err, (void)format;
}

/* Without SND_PCM_NONBLOCK an open may wait for a busy device instead of saying so. */
static int open_one(snd_pcm_t **pcm, const char *name, enum direction direction) {
  snd_lib_error_set_handler(silent);
  int err = snd_pcm_open(pcm, name, STREAMS[direction], SND_PCM_NONBLOCK);
  if (err < 0) *pcm = NULL;
  return err;
}

int device_open(struct device *d) {
  for (int direction = PLAYBACK; direction <= CAPTURE; direction++)
    for (unsigned i = 0; i < d->counts[direction]; i++) {
      int err = open_one(&d->pcm[direction][i], d->names[direction][i], direction);
      if (err < 0) {
        device_close(d);
        return err;
      }
    }
  return 0;
}

void device_close(struct device *d) {
  for (int direction = PLAYBACK; direction <= CAPTURE; direction++)
    for (unsigned i = 0; i < MAX_SUBDEVICES; i++) {
      if (d->pcm[direction][i] != NULL) snd_pcm_close(d->pcm[direction][i]);
      d->pcm[direction][i] = NULL;
    }
}

void device_halt(struct device *d) {
  for (int direction = PLAYBACK; direction <= CAPTURE; direction++)
    if (d->pcm[direction][0] != NULL) snd_pcm_drop(d->pcm[direction][0]);
}

bool device_gone(struct device *d) {
  for (int direction = PLAYBACK; direction <= CAPTURE; direction++)
    for (unsigned i = 0; i < d->counts[direction]; i++)
      if (d->pcm[direction][i] != NULL && snd_pcm_state(d->pcm[direction][i]) == SND_PCM_STATE_DISCONNECTED) return true;
  return false;
}

int device_probe(const char *name, enum direction direction) {
  snd_pcm_t *pcm;
  int err = open_one(&pcm, name, direction);
  if (err == 0) snd_pcm_close(pcm);
  return err;
}

__attribute__((format(printf, 3, 4))) static int refuse(struct device *d, enum direction direction, const char *format, ...) {
  int used = snprintf(d->refusal, sizeof d->refusal, "%s: ", WORDS[direction]);
  va_list list;
  va_start(list, format);
  vsnprintf(d->refusal + used, sizeof d->refusal - (size_t)used, format, list);
  va_end(list);
  return -EINVAL;
}

static int refuse_format(struct device *d, enum direction direction, snd_pcm_hw_params_t *params, snd_pcm_format_t wanted) {
  char offered[160] = "";
  for (int format = 0; format <= SND_PCM_FORMAT_LAST; format++) {
    const char *name = snd_pcm_format_name((snd_pcm_format_t)format);
    if (name == NULL || snd_pcm_hw_params_test_format(d->pcm[direction][0], params, (snd_pcm_format_t)format) < 0) continue;
    size_t used = strlen(offered);
    snprintf(offered + used, sizeof offered - used, "%s%s", used > 0 ? ", " : "", name);
  }
  return refuse(d, direction, "no samples of %s, only %s", snd_pcm_format_name(wanted), offered);
}

/* Asks for exactly what the request says, one thing after the other, so that a refusal can name what is offered. */
static int hardware(struct device *d, enum direction direction, const struct request *q) {
  snd_pcm_t *pcm = d->pcm[direction][0];
  snd_pcm_format_t format = q->sample_bytes == 4 ? SND_PCM_FORMAT_S32_LE : SND_PCM_FORMAT_S24_3LE;
  snd_pcm_hw_params_t *params;
  snd_pcm_hw_params_alloca(&params);
  unsigned low = 0, high = 0;
  snd_pcm_uframes_t shortest = 0, longest = 0;
  int dir = 0;
  int err = snd_pcm_hw_params_any(pcm, params);
  if (err < 0) return err;
  snd_pcm_hw_params_set_rate_resample(pcm, params, 0);
  if (snd_pcm_hw_params_set_access(pcm, params, SND_PCM_ACCESS_RW_INTERLEAVED) < 0)
    return refuse(d, direction, "no interleaved samples");
  if (snd_pcm_hw_params_set_format(pcm, params, format) < 0) return refuse_format(d, direction, params, format);
  if (snd_pcm_hw_params_set_channels(pcm, params, q->channels[direction]) < 0) {
    snd_pcm_hw_params_get_channels_min(params, &low);
    snd_pcm_hw_params_get_channels_max(params, &high);
    return refuse(d, direction, "not %u channels, only %u to %u", q->channels[direction], low, high);
  }
  if (snd_pcm_hw_params_set_rate(pcm, params, q->rate, 0) < 0) {
    snd_pcm_hw_params_get_rate_min(params, &low, &dir);
    snd_pcm_hw_params_get_rate_max(params, &high, &dir);
    return refuse(d, direction, "not %u Hz, only %u to %u", q->rate, low, high);
  }
  if (snd_pcm_hw_params_set_period_size(pcm, params, q->period, 0) < 0) {
    snd_pcm_hw_params_get_period_size_min(params, &shortest, &dir);
    snd_pcm_hw_params_get_period_size_max(params, &longest, &dir);
    return refuse(d, direction, "no periods of %lu frames, only %lu to %lu", q->period, shortest, longest);
  }
  if (snd_pcm_hw_params_set_buffer_size(pcm, params, q->buffer) < 0) {
    snd_pcm_hw_params_get_buffer_size_min(params, &shortest);
    snd_pcm_hw_params_get_buffer_size_max(params, &longest);
    return refuse(d, direction, "no buffer of %lu frames, only %lu to %lu", q->buffer, shortest, longest);
  }
  return snd_pcm_hw_params(pcm, params);
}

/* Nothing starts by itself; it stops when the buffer has run empty (or full) and not a frame later; a wake-up per period. */
static int software(struct device *d, enum direction direction, const struct request *q) {
  snd_pcm_t *pcm = d->pcm[direction][0];
  snd_pcm_sw_params_t *params;
  snd_pcm_sw_params_alloca(&params);
  snd_pcm_uframes_t boundary;
  int err;
  if ((err = snd_pcm_sw_params_current(pcm, params)) < 0) return err;
  if ((err = snd_pcm_sw_params_get_boundary(params, &boundary)) < 0) return err;
  if ((err = snd_pcm_sw_params_set_start_threshold(pcm, params, boundary)) < 0) return err;
  if ((err = snd_pcm_sw_params_set_stop_threshold(pcm, params, q->buffer)) < 0) return err;
  if ((err = snd_pcm_sw_params_set_avail_min(pcm, params, q->period)) < 0) return err;
  if ((err = snd_pcm_sw_params_set_tstamp_mode(pcm, params, SND_PCM_TSTAMP_ENABLE)) < 0) return err;
  if ((err = snd_pcm_sw_params_set_tstamp_type(pcm, params, SND_PCM_TSTAMP_TYPE_MONOTONIC)) < 0) return err;
  return snd_pcm_sw_params(pcm, params);
}

int device_configure(struct device *d, const struct request *q) {
  snd_pcm_t *play = d->pcm[PLAYBACK][0], *capture = d->pcm[CAPTURE][0];
  int err;
  d->refusal[0] = 0;
  device_halt(d);
  if (d->linked) snd_pcm_unlink(capture);
  d->linked = false;
  /* Both are let go first: the rate of one direction often binds that of the other. */
  snd_pcm_hw_free(play);
  snd_pcm_hw_free(capture);
  for (int direction = PLAYBACK; direction <= CAPTURE; direction++) {
    if ((err = hardware(d, direction, q)) < 0) return err;
    if ((err = software(d, direction, q)) < 0) return err;
  }
  d->linked = snd_pcm_link(capture, play) == 0;
  if ((err = snd_pcm_prepare(capture)) < 0) return err;
  return snd_pcm_prepare(play);
}

int device_start(struct device *d) {
  int err = snd_pcm_start(d->pcm[PLAYBACK][0]);
  if (err < 0 || d->linked) return err;
  return snd_pcm_start(d->pcm[CAPTURE][0]);
}
