/*
 * The card as its processes share it: one file of 8-byte fields, mapped by every plugin and written by the test.
 *
 * loop-card.ts knows the same layout (card-file.ts): a field that is added here is added there.
 * Directions count as in alsa-lib: 0 is playback, 1 is capture.
 */
#ifndef LOOP_CARD_H
#define LOOP_CARD_H

#include <assert.h>
#include <stdint.h>

enum {
	CARD_LAYOUT = 3,
	PLAYBACK = 0,
	CAPTURE = 1,
	MAX_SUBDEVICES = 8,
	MAX_RATES = 16,
	MAX_FORMATS = 4,
	MAX_POLY = 8,
	FAULT_SLOTS = 16,
	RUN_SLOTS = 8,
};

enum fault_kind { FAULT_XRUN = 1, FAULT_DROP = 2, FAULT_REPEAT = 3 };

/* at: a frame of the stream, or -1 for the next one. */
struct fault {
	int64_t kind, frames, at;
};

/*
 * One direction of one sub-device. The test queues faults and counts `faults_made`; the plugin carries them out one after the other and
 * counts `faults_taken`. `injected_at` is the first frame of the stream that the last of them concerns. `owner` is the thread that opened it.
 */
struct stream {
	int64_t running, epoch, edge_frame, start_frame, started_ns;
	int64_t position, xruns, process, owner;
	int64_t injected_at, faults_taken, faults_made;
	struct fault faults[FAULT_SLOTS];
};

/*
 * What the DAC did from one start to the stop: frame `start_frame + n` of the card's clock is frame `base + n` of the history, for n
 * below `written` and before `stop_frame`.
 */
struct run {
	int64_t epoch, start_frame, stop_frame, base, written, format;
};

/* One sub-device: its outputs are wired to its inputs. `epoch` counts how often its clock began anew. */
struct cable {
	int64_t epoch, epoch_ns, rate, history_end, run_count;
	struct run runs[RUN_SLOTS];
	struct stream streams[2];
};

struct card {
	/* Set before anybody opens the card. */
	int64_t layout, index, subdevices, channels[2];
	int64_t rate_count, rates[MAX_RATES], format_count, formats[MAX_FORMATS];
	int64_t history_frames, delay_frames;

	/* What hangs between outputs and inputs: nothing, while `analog` is 0. Ratios are linear, full scale is 1. */
	int64_t analog, poly_count;
	double gain, noise_rms, crosstalk, poly[MAX_POLY];

	/* What the test does to the card. `generation` counts the times that it was unplugged; `version` is odd during a change. */
	int64_t generation, gone, busy, denied, dying, thief, start_skew_frames;
	struct {
		int64_t version, total_ns, from_ns, until_ns;
	} stall;

	struct cable cables[MAX_SUBDEVICES];
};

static_assert(sizeof(struct stream) == 8 * (12 + 3 * FAULT_SLOTS), "8-byte fields only");
static_assert(sizeof(struct cable) == 8 * (5 + 6 * RUN_SLOTS) + 2 * sizeof(struct stream), "8-byte fields only");

/* Fields that another process changes while we look. */
#define LOAD(field) __atomic_load_n(&(field), __ATOMIC_ACQUIRE)
#define STORE(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELEASE)

#endif
