#define _GNU_SOURCE
#include "ring.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define GET(x) atomic_load_explicit(&(x), memory_order_acquire)
#define PUT(x, value) atomic_store_explicit(&(x), (value), memory_order_release)
#define PEEK(x) atomic_load_explicit(&(x), memory_order_relaxed)
#define POKE(x, value) atomic_store_explicit(&(x), (value), memory_order_relaxed)

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* ---- the account ---- */

static bool log_full(struct log *l) { return PEEK(l->head) - GET(l->tail) >= LOG_RUNS; }

/* Adds to the newest run when that goes on, or begins one; true when it began one. */
static bool log_add(struct log *l, int64_t at, int64_t frames, const struct channels *channels, int64_t behind, int64_t ns) {
  uint64_t head = PEEK(l->head);
  if (head > 0) {
    struct run *last = &l->runs[(head - 1) % LOG_RUNS];
    int64_t length = PEEK(last->frames);
    bool same = last->at + length == at && last->behind == behind;
    for (unsigned k = 0; k < MASK_WORDS; k++) same = same && PEEK(last->channels[k]) == channels->word[k];
    if (same || log_full(l)) {
      /* Nobody has listened through a thousand runs: from here on it is one, of all channels. Too much is told, never too little. */
      if (!same)
        for (unsigned k = 0; k < MASK_WORDS; k++) POKE(last->channels[k], UINT64_MAX);
      POKE(last->ns, ns);
      PUT(last->frames, most(length, at + frames - last->at));
      return false;
    }
  }
  struct run *run = &l->runs[head % LOG_RUNS];
  run->at = at;
  run->behind = behind;
  for (unsigned k = 0; k < MASK_WORDS; k++) POKE(run->channels[k], channels->word[k]);
  POKE(run->frames, frames);
  POKE(run->ns, ns);
  PUT(l->head, head + 1);
  return true;
}

bool log_untold(struct log *l) {
  uint64_t head = GET(l->head);
  return head > 0 && (head > l->tell + 1 || GET(l->runs[l->tell % LOG_RUNS].frames) > l->told);
}

bool log_next(struct log *l, struct run *out) {
  for (;;) {
    uint64_t head = GET(l->head); /* before the length: a run that has a successor is at its full length */
    if (head == 0) return false;
    struct run *run = &l->runs[l->tell % LOG_RUNS];
    int64_t length = GET(run->frames);
    if (length > l->told) {
      out->at = run->at + l->told;
      POKE(out->frames, length - l->told);
      POKE(out->ns, PEEK(run->ns));
      for (unsigned k = 0; k < MASK_WORDS; k++) POKE(out->channels[k], PEEK(run->channels[k]));
      l->told = length;
      return true;
    }
    if (head == l->tell + 1) return false;
    l->tell++;
    l->told = 0;
  }
}

void log_release(struct log *l) { PUT(l->tail, l->tell); }

/* ---- memory ---- */

/* Zeroed, touched, and kept in memory where that is allowed. */
static void *resident(size_t bytes, bool *locked) {
  void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (at == MAP_FAILED) return NULL;
  if (mlock(at, bytes) != 0) *locked = false;
  return at;
}

static size_t play_bytes(const struct ring *r) { return (size_t)r->size * r->out * sizeof(int32_t); }
static size_t capture_bytes(const struct ring *r) { return (size_t)r->size * r->in * sizeof(int32_t); }
static size_t written_bytes(const struct ring *r) { return (size_t)r->size * r->words * sizeof(uint64_t); }

bool ring_make(struct ring *r, unsigned in, unsigned out, unsigned bytes, int64_t size) {
  memset(r, 0, sizeof *r);
  r->in = in;
  r->out = out;
  r->bytes = bytes;
  r->words = (out + 63) / 64;
  r->size = size;
  r->locked = mlock(r, sizeof *r) == 0;
  r->play = resident(play_bytes(r), &r->locked);
  r->capture = resident(capture_bytes(r), &r->locked);
  r->written = resident(written_bytes(r), &r->locked);
  if (r->play != NULL && r->capture != NULL && r->written != NULL) return true;
  ring_free(r);
  return false;
}

void ring_free(struct ring *r) {
  if (r->play != NULL) munmap(r->play, play_bytes(r));
  if (r->capture != NULL) munmap(r->capture, capture_bytes(r));
  if (r->written != NULL) munmap((void *)r->written, written_bytes(r));
  munlock(r, sizeof *r);
  r->play = NULL;
  r->capture = NULL;
  r->written = NULL;
}

/* ---- playback, the thread's side ---- */

static bool overlap(const struct channels *a, const struct channels *b) {
  uint64_t both = 0;
  for (unsigned k = 0; k < MASK_WORDS; k++) both |= a->word[k] & b->word[k];
  return both != 0;
}

static bool equal(const struct channels *a, const struct channels *b) { return memcmp(a, b, sizeof *a) == 0; }

static bool arm(struct ring *r, struct order order, int64_t ns) {
  bool news = false;
  int64_t taken = PEEK(r->taken);
  if (order.from < taken) { /* nobody can vouch for what was played before it was declared */
    int64_t to = least(order.to, taken);
    if (order.from < to) news = log_add(&r->starved, order.from, to - order.from, &order.channels, 0, ns);
    order.from = taken;
  }
  if (order.from >= order.to) return news;
  for (unsigned i = 0; i < r->armed_count; i++) { /* the usual: what was armed goes on */
    struct order *range = &r->armed[i];
    if (!equal(&range->channels, &order.channels) || order.from > range->to || order.to < range->from) continue;
    range->from = least(range->from, order.from);
    range->to = most(range->to, order.to);
    return news;
  }
  if (r->armed_count == ARMED) /* more than can be watched is as good as missing */
    return log_add(&r->starved, order.from, order.to - order.from, &order.channels, 0, ns) || news;
  r->armed[r->armed_count++] = order;
  return news;
}

static void disarm(struct ring *r, const struct order *order) {
  unsigned count = r->armed_count;
  for (unsigned i = 0; i < count; i++) {
    struct order *range = &r->armed[i];
    if (range->to <= order->from || !overlap(&range->channels, &order->channels)) continue;
    struct order before = *range; /* these channels stay armed up to there */
    before.to = order->from;
    if (before.from < before.to && r->armed_count == ARMED) continue; /* no room to say so: all of it stays armed */
    for (unsigned k = 0; k < MASK_WORDS; k++) {
      before.channels.word[k] &= order->channels.word[k];
      range->channels.word[k] &= ~order->channels.word[k];
    }
    if (before.from < before.to) r->armed[r->armed_count++] = before;
  }
}

static bool obey(struct ring *r, int64_t ns) {
  bool news = false;
  uint64_t obeyed = PEEK(r->obeyed);
  for (uint64_t ordered = GET(r->ordered); obeyed < ordered; obeyed++) {
    const struct order *order = &r->orders[obeyed % ORDERS];
    if (order->to < 0) disarm(r, order);
    else news = arm(r, *order, ns) || news;
  }
  PUT(r->obeyed, obeyed);
  return news;
}

/* Logs what of [from, to) is armed and was not written. */
static bool account(struct ring *r, int64_t from, int64_t to, int64_t ns) {
  bool news = false;
  for (int64_t f = from; f < to;) {
    struct channels due = {{0}};
    int64_t edge = to; /* up to which the same channels are due */
    for (unsigned i = 0; i < r->armed_count; i++) {
      const struct order *range = &r->armed[i];
      if (range->to <= f) continue;
      edge = least(edge, range->from > f ? range->from : range->to);
      if (range->from <= f)
        for (unsigned k = 0; k < MASK_WORDS; k++) due.word[k] |= range->channels.word[k];
    }
    if (!overlap(&due, &due)) f = edge;
    for (; f < edge; f++) {
      struct channels missing = {{0}};
      uint64_t any = 0;
      for (unsigned k = 0; k < r->words; k++)
        any |= missing.word[k] = due.word[k] & ~PEEK(r->written[(size_t)(f % r->size) * r->words + k]);
      if (any != 0) news = log_add(&r->starved, f, 1, &missing, 0, ns) || news;
    }
  }
  for (unsigned i = 0; i < r->armed_count;) {
    if (r->armed[i].to <= to || !overlap(&r->armed[i].channels, &r->armed[i].channels)) r->armed[i] = r->armed[--r->armed_count];
    else i++;
  }
  return news;
}

static void pack(const struct ring *r, const int32_t *from, uint8_t *to, size_t samples) {
  if (r->bytes == 4) {
    memcpy(to, from, samples * 4);
    return;
  }
  for (size_t i = 0; i < samples; i++, to += 3) {
    uint32_t sample = (uint32_t)from[i];
    to[0] = (uint8_t)(sample >> 8);
    to[1] = (uint8_t)(sample >> 16);
    to[2] = (uint8_t)(sample >> 24);
  }
}

static void unpack(const struct ring *r, const uint8_t *from, int32_t *to, size_t samples) {
  if (r->bytes == 4) {
    memcpy(to, from, samples * 4);
    return;
  }
  for (size_t i = 0; i < samples; i++, from += 3)
    to[i] = (int32_t)((uint32_t)from[0] << 8 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 24);
}

bool ring_take(struct ring *r, uint8_t *device, int64_t frames, int64_t ns) {
  bool news = obey(r, ns);
  int64_t from = PEEK(r->taken), to = from + frames;
  POKE(r->claimed, to);
  atomic_thread_fence(memory_order_seq_cst); /* against the one in ring_write */
  news = account(r, from, to, ns) || news;
  atomic_thread_fence(memory_order_acquire); /* what is marked as written is there */
  for (int64_t f = from; f < to;) {
    size_t slot = (size_t)(f % r->size);
    size_t span = (size_t)least(to - f, r->size - (int64_t)slot);
    int32_t *samples = r->play + slot * r->out;
    pack(r, samples, device, span * r->out);
    memset(samples, 0, span * r->out * sizeof *samples);
    for (size_t i = slot * r->words; i < (slot + span) * r->words; i++) POKE(r->written[i], 0);
    device += span * r->out * r->bytes;
    f += (int64_t)span;
  }
  PUT(r->taken, to);
  return news;
}

/* ---- playback, JavaScript's side ---- */

bool ring_order(struct ring *r, const struct order *order) {
  uint64_t ordered = PEEK(r->ordered);
  if (ordered - GET(r->obeyed) >= ORDERS) return false;
  r->orders[ordered % ORDERS] = *order;
  PUT(r->ordered, ordered + 1);
  return true;
}

static void put_samples(struct ring *r, int64_t at, int64_t end, unsigned first, unsigned count, const int32_t *block) {
  for (int64_t f = at; f < end;) {
    size_t slot = (size_t)(f % r->size);
    size_t span = (size_t)least(end - f, r->size - (int64_t)slot);
    int32_t *to = r->play + slot * r->out + first;
    if (count == r->out) {
      memcpy(to, block, span * count * sizeof *to);
      block += span * count;
    } else if (count == 2) {
      for (size_t i = 0; i < span; i++, to += r->out, block += 2) memcpy(to, block, 2 * sizeof *to);
    } else {
      for (size_t i = 0; i < span; i++, to += r->out, block += count)
        for (unsigned c = 0; c < count; c++) to[c] = block[c];
    }
    f += (int64_t)span;
  }
}

static void mark(struct ring *r, int64_t at, int64_t end, unsigned first, unsigned count, bool written) {
  struct channels set = {{0}};
  for (unsigned c = first; c < first + count; c++) set.word[c / 64] |= UINT64_C(1) << (c % 64);
  for (int64_t f = at; f < end;) {
    size_t slot = (size_t)(f % r->size);
    size_t span = (size_t)least(end - f, r->size - (int64_t)slot);
    for (size_t i = slot; i < slot + span; i++)
      for (unsigned k = 0; k < r->words; k++) {
        _Atomic uint64_t *word = &r->written[i * r->words + k];
        POKE(*word, written ? PEEK(*word) | set.word[k] : PEEK(*word) & ~set.word[k]);
      }
    f += (int64_t)span;
  }
}

/*
 * Returns how many frames at the beginning of the block came too late; those are not played, the others are.
 *
 * The thread first says how far it claims, then looks at the marks; here the marks are put first, then it is looked how far is claimed; a
 * full fence lies between on both sides. So either the thread sees the mark, and with it the samples, or the claim is seen here. Frames that were
 * claimed while they were written are called late, although some may have been played: what is not certain is a fault. By then their slots
 * stand for frames one ring later, so whatever was left in them is taken out, or it would be played then (and it is, should JavaScript stand still
 * for a whole ring in between; by then everything is starved).
 */
int64_t ring_write(struct ring *r, int64_t at, unsigned first, unsigned count, const int32_t *block, int64_t frames) {
  int64_t end = at + frames;
  if (end > GET(r->played) + r->size) return RING_BEYOND;
  int64_t from = least(end, most(at, GET(r->claimed)));
  if (from < end) {
    put_samples(r, from, end, first, count, block + (from - at) * count);
    atomic_thread_fence(memory_order_release);
    mark(r, from, end, first, count, true);
    atomic_thread_fence(memory_order_seq_cst);
  }
  int64_t late = least(end, GET(r->claimed));
  if (late > from) {
    while (GET(r->taken) < late) sched_yield(); /* it is copying them: microseconds */
    for (int64_t f = from; f < late; f++) memset(r->play + (size_t)(f % r->size) * r->out + first, 0, count * sizeof *r->play);
    mark(r, from, late, first, count, false);
  }
  return most(0, late - at);
}

/* ---- capture ---- */

bool ring_push(struct ring *r, const uint8_t *device, int64_t frames, int64_t ns) {
  static const struct channels none = {{0}};
  int64_t stored = PEEK(r->stored), captured = PEEK(r->captured);
  bool news = false;
  /* Without room in the account for the next gap there must be none: this one goes on. */
  if (r->size - (stored - GET(r->read)) < frames || log_full(&r->gaps)) {
    news = log_add(&r->gaps, captured, frames, &none, stored, ns);
  } else {
    for (int64_t f = stored; f < stored + frames;) {
      size_t slot = (size_t)(f % r->size);
      size_t span = (size_t)least(stored + frames - f, r->size - (int64_t)slot);
      unpack(r, device, r->capture + slot * r->in, span * r->in);
      device += span * r->in * r->bytes;
      f += (int64_t)span;
    }
    PUT(r->stored, stored + frames);
  }
  PUT(r->captured, captured + frames);
  return news;
}

/* One call never reaches across a gap, and none reaches a frame behind a gap that was not told. */
int64_t ring_read(struct ring *r, int32_t *into, int64_t frames) {
  int64_t stored = GET(r->stored), read = PEEK(r->read);
  if (log_untold(&r->gaps)) return RING_UNTOLD;
  uint64_t head = GET(r->gaps.head), tail = PEEK(r->gaps.tail);
  for (uint64_t i = tail; i < head; i++) {
    const struct run *gap = &r->gaps.runs[i % LOG_RUNS];
    if (gap->behind > read) {
      stored = least(stored, gap->behind);
      break;
    }
    if (i < r->gaps.tell) tail = i + 1;
  }
  PUT(r->gaps.tail, tail);
  int64_t got = least(frames, stored - read);
  for (int64_t f = read; f < read + got;) {
    size_t slot = (size_t)(f % r->size);
    size_t span = (size_t)least(read + got - f, r->size - (int64_t)slot);
    memcpy(into, r->capture + slot * r->in, span * r->in * sizeof *into);
    into += span * r->in;
    f += (int64_t)span;
  }
  PUT(r->read, read + got);
  return got;
}
