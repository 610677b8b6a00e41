#define _GNU_SOURCE
#include "claim.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PRIORITY 70 /* of SCHED_FIFO: above whatever is ordinary, below the kernel's own threads that serve the card */
#define MAX_FDS 16
#define LOOK_MS 20      /* a device that is gone may not wake anybody */
#define IDLE_LOOK_MS 250
#define STALL_NS INT64_C(250000000)
#define REST_NS 500000

#define PUT(x, value) atomic_store_explicit(&(x), (value), memory_order_release)

/* What the thread alone knows of the stream that runs. */
struct stream {
  struct claim *c;
  snd_pcm_t *pcm[2];
  uint8_t *staging[2];
  int64_t pending, pending_at; /* frames that were taken from the ring and that the device has not accepted yet */
  int64_t now, moved[2];       /* nanoseconds; when the directions last went on */
};

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Once until somebody listens. The only lock on this thread's way is in there, and only when there is something to tell. */
static void ring_bell(struct claim *c) {
  if (atomic_exchange(&c->rung, 1) == 0) c->bell(c->listener);
}

static void end(struct claim *c, enum end_kind kind, int64_t at, int64_t ns) {
  uint32_t ended = atomic_load(&c->ended);
  if (ended - atomic_load(&c->told) == ENDS) return;
  c->ends[ended % ENDS] = (struct end){kind, at, ns};
  PUT(c->ended, ended + 1);
  ring_bell(c);
}

/* The first playback frame of which the device does not say that it was played. */
static int64_t unplayed(struct stream *s) {
  snd_pcm_status_t *status;
  snd_pcm_status_alloca(&status);
  int64_t given = atomic_load(&s->c->ring->taken) - s->pending;
  if (snd_pcm_status(s->pcm[PLAYBACK], status) < 0) return atomic_load(&s->c->ring->played);
  int64_t queued = (int64_t)s->c->request.buffer - (int64_t)snd_pcm_status_get_avail(status);
  return queued > 0 ? given - queued : given;
}

/* Says how the stream ended, from an error of one direction. @returns -1 */
static int fail(struct stream *s, enum direction direction, int err) {
  if (err == -EPIPE && direction == CAPTURE) end(s->c, XRUN_IN, atomic_load(&s->c->ring->captured), s->now);
  else if (err == -EPIPE) {
    int64_t at = unplayed(s);
    PUT(s->c->ring->played, at);
    end(s->c, XRUN_OUT, at, s->now);
  }
  else if (err == -ENODEV || err == -ENOTTY || err == -EBADFD || err == -ENXIO) end(s->c, LOST, -1, s->now);
  else end(s->c, STALLED, -1, s->now);
  return -1;
}

/* From the device into the ring, in whole periods: what is left over counts towards the next wake-up. @returns frames, or -1 at the end */
static int64_t record(struct stream *s) {
  const struct request *q = &s->c->request;
  snd_pcm_sframes_t ready = snd_pcm_avail(s->pcm[CAPTURE]);
  if (ready < 0) return fail(s, CAPTURE, (int)ready);
  int64_t left = ready - ready % (int64_t)q->period, got = 0;
  while (got < left) {
    int64_t most = left - got < (int64_t)q->buffer ? left - got : (int64_t)q->buffer;
    snd_pcm_sframes_t now = snd_pcm_readi(s->pcm[CAPTURE], s->staging[CAPTURE], (snd_pcm_uframes_t)most);
    if (now == -EAGAIN || now == 0) break;
    if (now < 0) return fail(s, CAPTURE, (int)now);
    if (ring_push(s->c->ring, s->staging[CAPTURE], now, s->now)) ring_bell(s->c);
    got += now;
  }
  return got;
}

/* Fills the device's buffer. @returns frames, or -1 at the end */
static int64_t play(struct stream *s) {
  const struct request *q = &s->c->request;
  struct ring *r = s->c->ring;
  size_t frame_bytes = (size_t)r->out * r->bytes;
  snd_pcm_sframes_t room = snd_pcm_avail(s->pcm[PLAYBACK]);
  if (room < 0) return fail(s, PLAYBACK, (int)room);
  int64_t given = 0;
  PUT(r->played, atomic_load(&r->taken) - s->pending - ((int64_t)q->buffer - room));
  while (given < room) {
    if (s->pending == 0) {
      s->pending = room - given < (int64_t)q->buffer ? room - given : (int64_t)q->buffer;
      s->pending_at = 0;
      if (ring_take(r, s->staging[PLAYBACK], s->pending, s->now)) ring_bell(s->c);
    }
    const uint8_t *from = s->staging[PLAYBACK] + (size_t)s->pending_at * frame_bytes;
    snd_pcm_sframes_t now = snd_pcm_writei(s->pcm[PLAYBACK], from, (snd_pcm_uframes_t)s->pending);
    if (now == -EAGAIN || now == 0) break;
    if (now < 0) return fail(s, PLAYBACK, (int)now);
    s->pending -= now;
    s->pending_at += now;
    given += now;
  }
  return given;
}

static bool stalled(struct stream *s, enum direction direction, int64_t frames) {
  const struct request *q = &s->c->request;
  int64_t buffers = (int64_t)q->buffer * 4 * 1000000000 / q->rate;
  if (frames > 0) s->moved[direction] = s->now;
  if (s->now - s->moved[direction] < (buffers > STALL_NS ? buffers : STALL_NS)) return false;
  end(s->c, STALLED, -1, s->now);
  return true;
}

/* One look at the device. @returns frames moved, or -1 at the end */
static int64_t turn(struct stream *s) {
  s->now = now_ns();
  int64_t in = record(s);
  if (in < 0) return -1;
  int64_t out = play(s);
  if (out < 0) return -1;
  PUT(s->c->ring->looked, s->now);
  if (stalled(s, CAPTURE, in) || stalled(s, PLAYBACK, out)) return -1;
  return in + out;
}

static void stream_run(struct stream *s) {
  struct claim *c = s->c;
  struct ring *r = c->ring;
  struct pollfd fds[1 + 2 * MAX_FDS] = {{.fd = c->wake, .events = POLLIN}};
  int ins = snd_pcm_poll_descriptors(s->pcm[CAPTURE], fds + 1, MAX_FDS);
  int outs = snd_pcm_poll_descriptors(s->pcm[PLAYBACK], fds + 1 + ins, MAX_FDS);
  if (ins < 0 || outs < 0) return (void)fail(s, CAPTURE, -ENODEV);
  while (atomic_load(&c->command) == NOTHING) {
    /* Capture sets the pace. Playback, on the same clock, is waited for only when it was behind at the last look. */
    bool behind = atomic_load(&r->taken) - (int64_t)c->request.buffer < atomic_load(&r->captured);
    int ready = poll(fds, (nfds_t)(1 + ins + (behind ? outs : 0)), LOOK_MS);
    unsigned short events;
    if (ready > 0) snd_pcm_poll_descriptors_revents(s->pcm[CAPTURE], fds + 1, (unsigned)ins, &events);
    if (ready > 0 && behind) snd_pcm_poll_descriptors_revents(s->pcm[PLAYBACK], fds + 1 + ins, (unsigned)outs, &events);
    int64_t moved = turn(s);
    if (moved < 0) return;
    if (moved == 0 && device_gone(&c->device)) return (void)fail(s, CAPTURE, -ENODEV);
    /* Nothing that a driver answers may make a real-time thread spin. */
    if (moved == 0 && ready != 0) nanosleep(&(struct timespec){.tv_nsec = REST_NS}, NULL);
  }
}

static void answer(struct claim *c, enum command command, int error) {
  c->error = error;
  PUT(c->answered, command);
  atomic_store(&c->rung, 1);
  c->bell(c->listener);
}

static int stream_begin(struct stream *s) {
  struct claim *c = s->c;
  const struct request *q = &c->request;
  int err = device_configure(&c->device, q);
  if (err < 0) return err;
  size_t bytes = (size_t)q->buffer * q->sample_bytes;
  if (c->ring != NULL) ring_free(c->ring);
  else if ((c->ring = aligned_alloc(64, sizeof *c->ring)) != NULL) memset(c->ring, 0, sizeof *c->ring);
  s->staging[PLAYBACK] = malloc(bytes * q->channels[PLAYBACK]);
  s->staging[CAPTURE] = malloc(bytes * q->channels[CAPTURE]);
  if (c->ring == NULL || s->staging[PLAYBACK] == NULL || s->staging[CAPTURE] == NULL) return -ENOMEM;
  if (!ring_make(c->ring, q->channels[CAPTURE], q->channels[PLAYBACK], q->sample_bytes, q->ring)) return -ENOMEM;
  s->pcm[PLAYBACK] = c->device.pcm[PLAYBACK][0];
  s->pcm[CAPTURE] = c->device.pcm[CAPTURE][0];
  /* The first frames are the ring's, silent as it is: from here on playback frame p is the p-th that the device got. */
  ring_take(c->ring, s->staging[PLAYBACK], (int64_t)q->buffer, 0);
  snd_pcm_sframes_t filled = snd_pcm_writei(s->pcm[PLAYBACK], s->staging[PLAYBACK], q->buffer);
  if (filled != (snd_pcm_sframes_t)q->buffer) return filled < 0 ? (int)filled : -EIO;
  err = device_start(&c->device);
  c->started = s->now = s->moved[PLAYBACK] = s->moved[CAPTURE] = now_ns();
  c->linked = c->device.linked;
  atomic_store(&c->ring->looked, c->started);
  return err;
}

static void stream(struct claim *c) {
  struct stream s = {.c = c};
  int err = stream_begin(&s);
  answer(c, START, err);
  if (err == 0) stream_run(&s);
  device_halt(&c->device);
  free(s.staging[PLAYBACK]);
  free(s.staging[CAPTURE]);
}

/* Waits for a command, and keeps an eye on a device that nobody streams on. */
static enum command next(struct claim *c, bool *here) {
  for (;;) {
    struct pollfd fd = {.fd = c->wake, .events = POLLIN};
    uint64_t count;
    int rung = poll(&fd, 1, IDLE_LOOK_MS);
    if (rung > 0 && read(c->wake, &count, sizeof count) == sizeof count)
      return (enum command)atomic_exchange(&c->command, NOTHING);
    if (rung == 0 && *here && device_gone(&c->device)) {
      *here = false;
      end(c, LOST, -1, now_ns());
    }
  }
}

void *claim_thread(void *claim) {
  struct claim *c = claim;
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, NULL);
  pthread_setname_np(pthread_self(), "outboard-alsa");
  c->realtime = pthread_setschedparam(pthread_self(), SCHED_FIFO, &(struct sched_param){.sched_priority = PRIORITY}) == 0;
  int err = device_open(&c->device);
  bool here = err == 0;
  answer(c, OPEN, err);
  for (;;) {
    enum command command = next(c, &here);
    if (command == START) stream(c);
    if (command == STOP) answer(c, STOP, 0); /* the stream ended when the command came */
    if (command != CLOSE) continue;
    device_close(&c->device);
    if (c->ring != NULL) ring_free(c->ring);
    free(c->ring);
    c->ring = NULL;
    answer(c, CLOSE, 0);
    return NULL;
  }
}
