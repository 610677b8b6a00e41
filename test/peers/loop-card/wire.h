/* The wire from outputs to inputs: a history of what the DAC did, and what the analog side makes of it. */
#ifndef LOOP_WIRE_H
#define LOOP_WIRE_H

#include <alsa/asoundlib.h>

#include "card.h"

struct wire {
	const struct card *card;
	struct cable *cable;
	uint8_t *history; /* a ring of history_frames frames of all outputs, in the format of their run */
	uint64_t noise_state;
};

/* The bytes that the history of a card takes, whatever its format. */
size_t wire_bytes(const struct card *card);

unsigned frame_bytes(snd_pcm_format_t format, int64_t channels);

/* Puts frames of playback into the history, from its frame `at` on. */
void wire_write(struct wire *wire, snd_pcm_format_t format, int64_t at, const void *frames, int64_t count);

/* What the ADC hears from frame `at` of the cable's clock on: silence where nothing was played. */
void wire_read(struct wire *wire, snd_pcm_format_t format, int64_t epoch, int64_t at, void *frames, int64_t count);

#endif
