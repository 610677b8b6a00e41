/*
 * Where a capture stream's frames come from. Frame n of the stream is frame n of the ADC until the test loses or repeats some; every
 * such edit shifts what follows.
 */
#ifndef LOOP_TAKE_H
#define LOOP_TAKE_H

#include <stdint.h>

enum { MAX_EDITS = 64 };

/* From stream frame `at` on, stream frame n is ADC frame n + shift. */
struct edit {
	int64_t at, shift;
};

struct take {
	struct edit edits[MAX_EDITS];
	int edit_count;
};

void take_begin(struct take *take);

/* From stream frame `at` on, the ADC's frames come `frames` earlier (lost) or, where negative, later (repeated). Returns where it was put. */
int64_t take_shift(struct take *take, int64_t at, int64_t frames);

/* How many stream frames there are when the ADC has made `adc` frames. */
int64_t take_position(const struct take *take, int64_t adc);

/* The ADC frame of stream frame n; `*alike` is the number of frames from there on with the same shift. */
int64_t take_adc_frame(const struct take *take, int64_t n, int64_t *alike);

#endif
