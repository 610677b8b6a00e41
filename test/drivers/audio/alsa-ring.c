/*
 * The rings under the hardest use that can be made of them: one thread takes and pushes as fast as it can, the other writes where frames are
 * being taken and reads where they are being dropped. Every frame of both directions is then accounted for.
 *
 * Prints what was seen; ends with 1 when a frame was wrong, or was lost without being told.
 */
#include "../../../drivers/audio/alsa/native/ring.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CHANNELS = 4, SIZE = 1024, MOST_FRAMES = 20000000 };
enum fate { UNWRITTEN, WRITTEN, LATE, STARVED = 4 };

static struct ring *ring;
static int32_t *heard; /* two channels of every playback frame */
static uint8_t *fates;
static int64_t taken, written, read_to, lost, wrong_captures, cut;
static _Atomic int64_t seen; /* up to where the writer has come: nobody goes round it, which would take a blocked JavaScript a whole ring's time */
static atomic_bool over;

static int32_t sample(int64_t frame, int channel) { return (int32_t)((uint32_t)(frame * 2 + channel) * 2654435761u | 1); }

static void push(int64_t from, int64_t frames);

static void *hardware(void *unused) {
  (void)unused;
  static int32_t device[256 * CHANNELS];
  unsigned seed = 1;
  while (!over && taken < MOST_FRAMES - 256) {
    int64_t frames = 1 + rand_r(&seed) % 200;
    push(taken, frames);
    ring_take(ring, (uint8_t *)device, frames, 0);
    for (int64_t i = 0; i < frames; i++) memcpy(heard + (taken + i) * 2, device + i * CHANNELS + 1, 2 * sizeof *heard);
    taken += frames;
    atomic_store(&ring->played, taken);
    while (taken > seen + SIZE / 2 && !over) continue;
  }
  over = true;
  return NULL;
}

/* Channels 2 and 3, a little before or behind the frame that is due; some frames are left out. */
static void write_at_the_edge(unsigned *seed) {
  static int32_t block[500 * 2];
  int64_t frames = 1 + rand_r(seed) % 500;
  seen = atomic_load(&ring->claimed);
  int64_t at = seen - 30 + rand_r(seed) % 60;
  if (at < written) at = written;
  if (at + frames >= MOST_FRAMES) return;
  for (int64_t i = 0; i < frames * 2; i++) block[i] = sample(at + i / 2, (int)(i % 2));
  int64_t late = ring_write(ring, at, 1, 2, block, frames);
  if (late == RING_BEYOND) return;
  cut += late > 0 && late < frames;
  for (int64_t i = 0; i < frames; i++) fates[at + i] |= i < late ? LATE : WRITTEN;
  written = at + frames;
}

static void hear_starved(void) {
  struct run run;
  while (log_next(&ring->starved, &run)) {
    log_release(&ring->starved);
    for (int64_t i = run.at; i < run.at + run.frames && i < MOST_FRAMES; i++) fates[i] |= STARVED;
  }
}

/* Gaps as they were told; stepped over where the reading has come to them. */
static struct gap {
  int64_t at, frames;
} gaps[LOG_RUNS];
static size_t told, passed;

static void hear_gaps(void) {
  struct run run;
  while (log_next(&ring->gaps, &run)) {
    struct gap *last = &gaps[(told - 1) % LOG_RUNS];
    if (told > passed && last->at + last->frames == run.at) last->frames += run.frames;
    else gaps[told++ % LOG_RUNS] = (struct gap){run.at, run.frames};
    lost += run.frames;
  }
}

/* Once. @returns frames */
static int64_t read_some(void) {
  int32_t into[64 * CHANNELS];
  int64_t got;
  while ((got = ring_read(ring, into, 64)) == RING_UNTOLD) hear_gaps();
  while (got > 0 && passed < told && gaps[passed % LOG_RUNS].at == read_to) read_to += gaps[passed++ % LOG_RUNS].frames;
  for (int64_t i = 0; i < got * CHANNELS; i++)
    wrong_captures += into[i] != sample(read_to + i / CHANNELS, (int)(i % CHANNELS));
  read_to += got;
  return got;
}

static void push(int64_t from, int64_t frames) {
  static int32_t device[(SIZE + 1) * CHANNELS];
  for (int64_t i = 0; i < frames * CHANNELS; i++) device[i] = sample(from + i / CHANNELS, (int)(i % CHANNELS));
  ring_push(ring, (uint8_t *)device, frames, 0);
}

/* More gaps than can be remembered: one that goes on, in place of the next that could not be told. */
static void crowd(void) {
  int64_t captured = 0;
  for (int i = 0; i < 3 * LOG_RUNS; i++) {
    push(captured, 1);
    push(captured + 1, SIZE + 1); /* never fits */
    captured += SIZE + 2;
    if (i % 7 == 0) hear_gaps();
    if (i > 2 * LOG_RUNS && i % 5 == 0) read_some();
  }
  while (read_some() > 0) continue;
  wrong_captures += captured != read_to + (passed < told ? gaps[passed % LOG_RUNS].frames : 0);
  ring_free(ring);
  told = passed = 0;
  read_to = lost = 0;
}

int main(int count, char **arguments) {
  ring = aligned_alloc(64, sizeof *ring);
  heard = calloc(MOST_FRAMES, 2 * sizeof *heard);
  fates = calloc(MOST_FRAMES, 1);
  if (ring == NULL || heard == NULL || fates == NULL || !ring_make(ring, CHANNELS, CHANNELS, 4, SIZE)) return 2;
  crowd();
  if (!ring_make(ring, CHANNELS, CHANNELS, 4, SIZE)) return 2;
  struct order order = {.channels = {{6}}, .from = 0, .to = MOST_FRAMES};
  ring_order(ring, &order);
  pthread_t thread;
  pthread_create(&thread, NULL, hardware, NULL);
  unsigned seed = 7;
  time_t end = time(NULL) + (count > 1 ? atoi(arguments[1]) : 2);
  while (!over && (time(NULL) < end || (cut < 50 && time(NULL) < end + 10))) {
    for (int i = 0; i < 100; i++) {
      write_at_the_edge(&seed);
      hear_starved();
      for (int reads = rand_r(&seed) % 4; reads > 0; reads--) read_some();
    }
  }
  over = true;
  pthread_join(thread, NULL);
  hear_starved();

  long right = 0, silent = 0, split = 0, wrong = 0, untold = 0;
  for (int64_t f = 0; f < taken && f < written; f++) {
    bool as_written = heard[2 * f] == sample(f, 0) && heard[2 * f + 1] == sample(f, 1);
    bool nothing = heard[2 * f] == 0 && heard[2 * f + 1] == 0;
    int fate = fates[f];
    right += as_written;
    silent += nothing;
    split += fate & LATE && as_written; /* called late to be on the safe side */
    if (!as_written && !nothing) wrong += !(fate & LATE);
    if (fate & LATE && !as_written && !nothing) wrong += heard[2 * f] != 0 && heard[2 * f] != sample(f, 0);
    if (!as_written) untold += !(fate & (LATE | STARVED));
  }
  printf("{\"right\":%ld,\"silent\":%ld,\"split\":%ld,\"wrong\":%ld,\"untold\":%ld,\"captured\":%lld,\"lost\":%lld,\"wrongCaptures\":%lld}\n", right,
         silent, split, wrong, untold, (long long)read_to, (long long)lost, (long long)wrong_captures);
  ring_free(ring);
  free(ring);
  free(heard);
  free(fates);
  return wrong > 0 || untold > 0 || wrong_captures > 0;
}
