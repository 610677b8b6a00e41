/*
 * What JavaScript sees: the functions of native.ts, each of which takes the handle that `open` gave. Those that are called often allocate nothing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <node_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "claim.h"

#define GET(x) atomic_load_explicit(&(x), memory_order_acquire)
#define CLOSE_SECONDS 1

/* A claim as its JavaScript owner holds it. */
struct handle {
  struct claim claim;
  struct ring *view; /* the ring, from the answer to START until the next START or CLOSE is asked for */
  napi_threadsafe_function bell;
  bool alive; /* the thread was not joined yet */
};

static napi_value number(napi_env env, int64_t value) {
  napi_value result = NULL;
  napi_create_int64(env, value, &result);
  return result;
}

/* The handle is always the first argument. Calls come from native.ts alone, so that a wrong count is a mistake of ours. */
static struct handle *arguments(napi_env env, napi_callback_info info, size_t count, napi_value *v) {
  size_t given = count;
  void *handle = NULL;
  if (napi_get_cb_info(env, info, &given, v, NULL, NULL) == napi_ok && given == count && napi_get_value_external(env, v[0], &handle) == napi_ok)
    return handle;
  napi_throw_type_error(env, NULL, "wrong arguments");
  return NULL;
}

static int64_t integer(napi_env env, napi_value v) {
  int64_t value = 0;
  napi_get_value_int64(env, v, &value);
  return value;
}

/* The memory of a typed array of the expected type with at least `least` elements; NULL and an exception otherwise. */
static void *array(napi_env env, napi_value v, napi_typedarray_type wanted, size_t least, size_t *length) {
  napi_typedarray_type type = napi_int8_array;
  size_t count = 0;
  void *data = NULL;
  napi_status status = napi_get_typedarray_info(env, v, &type, &count, &data, NULL, NULL);
  if (length != NULL) *length = count;
  if (status == napi_ok && type == wanted && count >= least && data != NULL) return data;
  napi_throw_type_error(env, NULL, "wrong typed array");
  return NULL;
}

/* ---- life ---- */

static void on_bell(void *bell) { napi_call_threadsafe_function(bell, NULL, napi_tsfn_nonblocking); }

static void ask(struct handle *h, enum command command) {
  if (command == START || command == CLOSE) h->view = NULL;
  atomic_store(&h->claim.command, command);
  uint64_t one = 1;
  while (write(h->claim.wake, &one, sizeof one) < 0 && errno == EINTR) continue;
}

static bool join(struct handle *h, int seconds) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += seconds;
  if (h->alive && pthread_timedjoin_np(h->claim.thread, NULL, &until) == 0) {
    h->alive = false;
    close(h->claim.wake);
  }
  return !h->alive;
}

/* The environment ends (process.exit, a worker that is terminated) with the device in our hands. */
static void on_teardown(void *handle) {
  struct handle *h = handle;
  atomic_store(&h->claim.rung, 1); /* rings no more for what happens */
  ask(h, CLOSE);
  join(h, CLOSE_SECONDS);
}

static void on_collect(napi_env env, void *handle, void *hint) {
  struct handle *h = handle;
  (void)env, (void)hint;
  if (!h->alive) free(h); /* a thread that hangs in the kernel keeps what it works on */
}

static unsigned names(napi_env env, napi_value list, char (*into)[NAME_BYTES]) {
  uint32_t count = 0;
  napi_get_array_length(env, list, &count);
  for (uint32_t i = 0; i < count && i < MAX_SUBDEVICES; i++) {
    napi_value name = NULL;
    napi_get_element(env, list, i, &name);
    napi_get_value_string_utf8(env, name, into[i], NAME_BYTES, NULL);
  }
  return count;
}

/* open(playback: string[], capture: string[], bell: () => void): handle */
static napi_value n_open(napi_env env, napi_callback_info info) {
  size_t count = 3;
  napi_value v[3], label = NULL, result = NULL;
  napi_get_cb_info(env, info, &count, v, NULL, NULL);
  struct handle *h = calloc(1, sizeof *h);
  if (h == NULL) return NULL;
  struct device *d = &h->claim.device;
  d->counts[PLAYBACK] = names(env, v[0], d->names[PLAYBACK]);
  d->counts[CAPTURE] = names(env, v[1], d->names[CAPTURE]);
  h->claim.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  h->claim.bell = on_bell;
  napi_create_string_utf8(env, "outboard-alsa", NAPI_AUTO_LENGTH, &label);
  bool fits = d->counts[PLAYBACK] - 1 < MAX_SUBDEVICES && d->counts[CAPTURE] - 1 < MAX_SUBDEVICES;
  if (fits && h->claim.wake >= 0 &&
      napi_create_threadsafe_function(env, v[2], NULL, label, 0, 1, NULL, NULL, NULL, NULL, &h->bell) == napi_ok) {
    h->claim.listener = h->bell;
    if (pthread_create(&h->claim.thread, NULL, claim_thread, &h->claim) == 0) {
      h->alive = true;
      napi_add_env_cleanup_hook(env, on_teardown, h);
      napi_create_external(env, h, on_collect, NULL, &result);
      return result;
    }
    napi_release_threadsafe_function(h->bell, napi_tsfn_abort);
  }
  if (h->claim.wake >= 0) close(h->claim.wake);
  free(h);
  napi_throw_error(env, NULL, "the thread of the device does not start");
  return NULL;
}

/* start(handle, Float64Array [rate, in, out, bytes per sample, period, buffer, ring frames]) */
static napi_value n_start(napi_env env, napi_callback_info info) {
  napi_value v[2];
  struct handle *h = arguments(env, info, 2, v);
  const double *n = h == NULL ? NULL : array(env, v[1], napi_float64_array, 7, NULL);
  if (n == NULL) return NULL;
  struct request *q = &h->claim.request;
  q->rate = (unsigned)n[0];
  q->channels[CAPTURE] = (unsigned)n[1];
  q->channels[PLAYBACK] = (unsigned)n[2];
  q->sample_bytes = (unsigned)n[3];
  q->period = (snd_pcm_uframes_t)n[4];
  q->buffer = (snd_pcm_uframes_t)n[5];
  q->ring = (int64_t)n[6];
  napi_ref_threadsafe_function(env, h->bell);
  ask(h, START);
  return NULL;
}

static napi_value command(napi_env env, napi_callback_info info, enum command command) {
  napi_value v[1];
  struct handle *h = arguments(env, info, 1, v);
  if (h == NULL || !h->alive) return NULL;
  napi_ref_threadsafe_function(env, h->bell);
  ask(h, command);
  return NULL;
}

/* stop(handle), close(handle) */
static napi_value n_stop(napi_env env, napi_callback_info info) { return command(env, info, STOP); }
static napi_value n_close(napi_env env, napi_callback_info info) { return command(env, info, CLOSE); }

static void property(napi_env env, napi_value object, const char *name, napi_value value) {
  napi_set_named_property(env, object, name, value);
}

/*
 * answer(handle): null | { errno, refusal, startedSec, startedNsec, linked, realtime, locked }: of the command that was asked last, once. The bell
 * calls this before it looks for faults.
 */
static napi_value n_answer(napi_env env, napi_callback_info info) {
  napi_value v[1], object = NULL, text = NULL;
  struct handle *h = arguments(env, info, 1, v);
  if (h == NULL) return NULL;
  struct claim *c = &h->claim;
  if (h->alive) atomic_store(&c->rung, 0);
  int answered = atomic_exchange(&c->answered, NOTHING);
  if (answered == NOTHING) {
    napi_get_null(env, &object);
    return object;
  }
  if (answered == START && c->error == 0) h->view = c->ring;
  napi_create_object(env, &object);
  napi_create_string_utf8(env, answered == START ? c->device.refusal : "", NAPI_AUTO_LENGTH, &text);
  property(env, object, "errno", number(env, -c->error));
  property(env, object, "refusal", text);
  property(env, object, "startedSec", number(env, c->started / 1000000000));
  property(env, object, "startedNsec", number(env, c->started % 1000000000));
  property(env, object, "linked", number(env, c->linked));
  property(env, object, "realtime", number(env, c->realtime));
  property(env, object, "locked", number(env, h->view != NULL && h->view->locked));
  napi_unref_threadsafe_function(env, h->bell);
  if (answered == CLOSE && join(h, CLOSE_SECONDS)) {
    napi_remove_env_cleanup_hook(env, on_teardown, h);
    napi_release_threadsafe_function(h->bell, napi_tsfn_release);
  }
  return object;
}

/* ---- the stream ---- */

static bool untold(struct handle *h) {
  struct claim *c = &h->claim;
  if (GET(c->ended) != atomic_load(&c->told)) return true;
  return h->view != NULL && (log_untold(&h->view->gaps) || log_untold(&h->view->starved));
}

/* write(handle, atFrame, first channel from 0, channels, Int32Array): late frames, or RING_… */
static napi_value n_write(napi_env env, napi_callback_info info) {
  napi_value v[5];
  struct handle *h = arguments(env, info, 5, v);
  size_t samples = 0;
  const int32_t *block = h == NULL ? NULL : array(env, v[4], napi_int32_array, 1, &samples);
  if (block == NULL) return NULL;
  if (h->view == NULL || GET(h->claim.ended) != atomic_load(&h->claim.told)) return number(env, RING_UNTOLD);
  unsigned first = (unsigned)integer(env, v[2]), count = (unsigned)integer(env, v[3]);
  if (count == 0 || count > h->view->out || first > h->view->out - count) return number(env, RING_BEYOND);
  return number(env, ring_write(h->view, integer(env, v[1]), first, count, block, (int64_t)(samples / count)));
}

/* read(handle, Int32Array): frames, or RING_UNTOLD */
static napi_value n_read(napi_env env, napi_callback_info info) {
  napi_value v[2];
  struct handle *h = arguments(env, info, 2, v);
  size_t samples = 0;
  int32_t *into = h == NULL ? NULL : array(env, v[1], napi_int32_array, 1, &samples);
  if (into == NULL) return NULL;
  if (untold(h)) return number(env, RING_UNTOLD);
  return number(env, h->view == NULL ? 0 : ring_read(h->view, into, (int64_t)(samples / h->view->in)));
}

/* position(handle, Float64Array [captured, played, earliest write, seconds, nanoseconds]): 1 when something is to be told first */
static napi_value n_position(napi_env env, napi_callback_info info) {
  napi_value v[2];
  struct handle *h = arguments(env, info, 2, v);
  double *out = h == NULL ? NULL : array(env, v[1], napi_float64_array, 5, NULL);
  if (out == NULL) return NULL;
  struct ring *r = h->view;
  int64_t looked = r == NULL ? 0 : GET(r->looked);
  out[0] = r == NULL ? 0 : (double)GET(r->captured);
  out[1] = r == NULL ? 0 : (double)GET(r->played);
  out[2] = r == NULL ? 0 : (double)GET(r->claimed);
  out[3] = (double)(looked / 1000000000);
  out[4] = (double)(looked % 1000000000);
  return number(env, untold(h));
}

/* order(handle, Uint32Array channel mask, from, to): false when too many wait; to < 0 takes back */
static napi_value n_order(napi_env env, napi_callback_info info) {
  napi_value v[4], result = NULL;
  struct handle *h = arguments(env, info, 4, v);
  const uint32_t *mask = h == NULL ? NULL : array(env, v[1], napi_uint32_array, 2 * MASK_WORDS, NULL);
  if (mask == NULL) return NULL;
  struct order order = {.from = integer(env, v[2]), .to = integer(env, v[3])};
  for (unsigned k = 0; k < MASK_WORDS; k++) order.channels.word[k] = mask[2 * k] | (uint64_t)mask[2 * k + 1] << 32;
  napi_get_boolean(env, h->view != NULL && ring_order(h->view, &order), &result);
  return result;
}

static void moment(double *out, int64_t ns) {
  out[0] = (double)(ns / 1000000000);
  out[1] = (double)(ns % 1000000000);
}

/*
 * fault(handle, Float64Array [at or -1, frames, seconds, nanoseconds, channel mask in four words of 32 bits]): the next to be told: 0 none,
 * 1 to 4 as end_kind, 5 dropped, 6 starved
 */
static napi_value n_fault(napi_env env, napi_callback_info info) {
  napi_value v[2];
  struct handle *h = arguments(env, info, 2, v);
  double *out = h == NULL ? NULL : array(env, v[1], napi_float64_array, 4 + 2 * MASK_WORDS, NULL);
  if (out == NULL) return NULL;
  struct claim *c = &h->claim;
  struct run run;
  bool gap = h->view != NULL && log_next(&h->view->gaps, &run);
  if (gap || (h->view != NULL && log_next(&h->view->starved, &run))) {
    if (!gap) log_release(&h->view->starved);
    out[0] = (double)run.at;
    out[1] = (double)run.frames;
    moment(out + 2, run.ns);
    for (unsigned k = 0; k < MASK_WORDS; k++) {
      uint64_t word = run.channels[k];
      out[4 + 2 * k] = (double)(uint32_t)word;
      out[5 + 2 * k] = (double)(uint32_t)(word >> 32);
    }
    return number(env, gap ? 5 : 6);
  }
  uint32_t told = atomic_load(&c->told);
  if (GET(c->ended) == told) return number(env, 0);
  struct end end = c->ends[told % ENDS];
  atomic_store(&c->told, told + 1);
  out[0] = (double)end.at;
  moment(out + 2, end.ns);
  return number(env, end.kind);
}

/* probe(name, capture?): errno of an open, 0 when it opened (and was closed again) */
static napi_value n_probe(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value v[2];
  char name[NAME_BYTES] = "";
  bool capture = false;
  napi_get_cb_info(env, info, &count, v, NULL, NULL);
  napi_get_value_string_utf8(env, v[0], name, sizeof name, NULL);
  napi_get_value_bool(env, v[1], &capture);
  return number(env, -device_probe(name, capture ? CAPTURE : PLAYBACK));
}

/* No state of its own: every environment (the main thread, a worker) has its own handles. */
NAPI_MODULE_INIT() {
  const struct {
    const char *name;
    napi_callback function;
  } functions[] = {
      {"open", n_open},     {"start", n_start},       {"stop", n_stop},   {"close", n_close}, {"answer", n_answer}, {"write", n_write},
      {"read", n_read},     {"position", n_position}, {"order", n_order}, {"fault", n_fault}, {"probe", n_probe},
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_value function = NULL;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function, NULL, &function);
    napi_set_named_property(env, exports, functions[i].name, function);
  }
  return exports;
}
