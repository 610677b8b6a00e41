/*
 * The two rings between JavaScript and the real-time thread, and the account of what was missing in them. No ALSA and no Node in here.
 *
 * One thread takes and pushes ("the thread"), JavaScript writes and reads; nothing locks. Every counter has one writer. Frames are counted
 * since the stream began and never wrap; frame f lies in slot f % size. How a write that comes too late is told from one that does not is
 * written down at ring_write.
 */
#ifndef OUTBOARD_ALSA_RING_H
#define OUTBOARD_ALSA_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MASK_WORDS 2
#define MAX_CHANNELS (64 * MASK_WORDS)
#define LOG_RUNS 1024
#define ORDERS 1024
#define ARMED 512

/* Answers of ring_write and ring_read that are no number of frames. */
#define RING_UNTOLD (-1) /* something has to be told first: log_next */
#define RING_BEYOND (-2) /* the block ends behind the ring */

/* A set of output channels, from 0. */
struct channels {
  uint64_t word[MASK_WORDS];
};

/* Frames that follow each other and have the same thing wrong with them. The newest one can still grow. */
struct run {
  int64_t at;
  int64_t behind; /* of a gap: this many frames were stored before it */
  _Atomic uint64_t channels[MASK_WORDS];
  _Atomic int64_t frames;
  _Atomic int64_t ns;
};

/* Runs in the order in which they happened. The newest is never given up by JavaScript: it may grow, and that is told as a run of its own. */
struct log {
  struct run runs[LOG_RUNS];
  _Atomic uint64_t head; /* begun so far (the thread) */
  _Atomic uint64_t tail; /* no longer needed (JavaScript) */
  uint64_t tell;         /* the one being told, */
  int64_t told;          /* and how many frames of it were (JavaScript alone) */
};

/* arm: frames [from, to) of these channels must be there. disarm (to < 0): from `from` on they need not. */
struct order {
  struct channels channels;
  int64_t from, to;
};

struct ring {
  unsigned in, out;    /* channels */
  unsigned bytes;      /* of a sample on the device: 4 or 3 */
  unsigned words;      /* of a frame's mask */
  int64_t size;        /* frames of either ring */
  int32_t *play;       /* out x size */
  int32_t *capture;    /* in x size */
  _Atomic uint64_t *written; /* words x size: which channels of a slot were written */
  bool locked;         /* in memory */

  _Alignas(64) _Atomic int64_t claimed; /* playback frames before this one are taken, or being taken */
  _Atomic int64_t taken;                /* and these are: the slots are free again */
  _Atomic int64_t played;               /* left the device */
  _Atomic int64_t captured;             /* came from the device, lost ones included */
  _Atomic int64_t stored;               /* were put into the capture ring */
  _Atomic int64_t looked;               /* monotonic nanoseconds of the last look at the device */
  _Alignas(64) _Atomic int64_t read;    /* were read (JavaScript) */

  struct order orders[ORDERS];
  _Atomic uint64_t ordered, obeyed;
  struct order armed[ARMED]; /* the thread's own */
  unsigned armed_count;

  struct log starved, gaps;
};

/* Makes rings of `size` frames, silent and in memory. False without memory. */
bool ring_make(struct ring *r, unsigned in, unsigned out, unsigned bytes, int64_t size);
void ring_free(struct ring *r);

/* The thread. Both take the device's own sample format; true when there is something new to tell. */
bool ring_take(struct ring *r, uint8_t *device, int64_t frames, int64_t ns);
bool ring_push(struct ring *r, const uint8_t *device, int64_t frames, int64_t ns);

/* JavaScript. */
int64_t ring_write(struct ring *r, int64_t at, unsigned first, unsigned count, const int32_t *block, int64_t frames);
int64_t ring_read(struct ring *r, int32_t *into, int64_t frames);
bool ring_order(struct ring *r, const struct order *order);
bool log_untold(struct log *l);
/* Copies what is to be told next; false when nothing is. */
bool log_next(struct log *l, struct run *out);
/* All that was told may be overwritten. */
void log_release(struct log *l);

#endif
