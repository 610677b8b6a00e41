/* The card's clock: CLOCK_MONOTONIC without the time during which the test made it stand still. */
#ifndef LOOP_CLOCK_H
#define LOOP_CLOCK_H

#include "card.h"

int64_t monotonic_ns(void);

/* The card's own time. */
int64_t card_ns(const struct card *card);

/* The monotonic time at which the card's own time will be `ns`, if the clock does not stand still again. */
int64_t monotonic_from_card(const struct card *card, int64_t ns);

/* Whole frames since the cable's clock began; 0 before. */
int64_t cable_frames(const struct cable *cable, int64_t ns);

/* The card's own time at which `cable_frames` becomes `frames`. */
int64_t cable_ns(const struct cable *cable, int64_t frames);

/* False too where the process was killed before it could say so. */
int is_running(const struct stream *stream);

/*
 * Begins a stream: gives it its first frame on the cable's clock. Two directions that are started within JOIN_WINDOW_NS of one another
 * begin on one edge, apart by the configured skew only. The caller holds the card's lock.
 */
int begin_stream(struct card *card, struct cable *cable, int direction, unsigned rate);

#endif
