/*
 * One claim: a thread that owns the device from the open to the close, so that alsa-lib is never called from two threads and JavaScript never
 * waits for the hardware. JavaScript gives it one command at a time and is answered; what happens meanwhile is put into the ring's account
 * and into `ends`, and the bell is rung.
 */
#ifndef OUTBOARD_ALSA_CLAIM_H
#define OUTBOARD_ALSA_CLAIM_H

#include <pthread.h>

#include "device.h"
#include "ring.h"

enum command { NOTHING, OPEN, START, STOP, CLOSE };

/* After these the stream stands. */
enum end_kind { XRUN_IN = 1, XRUN_OUT, STALLED, LOST };

struct end {
  enum end_kind kind;
  int64_t at; /* first frame that is missing; -1 when that is not known */
  int64_t ns;
};

#define ENDS 8

struct claim {
  /* Set before the thread begins. */
  struct device device;
  int wake; /* an eventfd: there is a command */
  void (*bell)(void *);
  void *listener;
  pthread_t thread;

  /* JavaScript writes the request, then the command; the thread the answer, then `answered`. */
  struct request request;
  _Atomic int command, answered;
  int error;           /* negative errno, or 0 */
  int64_t started;     /* monotonic nanoseconds */
  bool realtime, linked;
  struct ring *ring;   /* of the running stream, or of the last one */

  struct end ends[ENDS];
  _Atomic uint32_t ended, told; /* by the thread; by JavaScript */
  _Atomic int rung;
};

void *claim_thread(void *claim);

#endif
