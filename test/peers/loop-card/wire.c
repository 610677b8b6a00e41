#include "wire.h"

#include <math.h>
#include <string.h>

/* Samples are brought to 32 bits, and the analog side computed, in blocks that stay in the cache. */
enum { BLOCK_SAMPLES = 4096 };

size_t wire_bytes(const struct card *card)
{
	return (size_t)card->history_frames * (size_t)card->channels[PLAYBACK] * sizeof(int32_t);
}

unsigned frame_bytes(snd_pcm_format_t format, int64_t channels)
{
	return (unsigned)(channels * snd_pcm_format_physical_width(format) / 8);
}

void wire_write(struct wire *wire, snd_pcm_format_t format, int64_t at, const void *frames, int64_t count)
{
	const int64_t ring = wire->card->history_frames;
	const size_t bytes = frame_bytes(format, wire->card->channels[PLAYBACK]);
	const uint8_t *from = frames;
	while (count > 0) {
		int64_t place = at % ring;
		int64_t part = count < ring - place ? count : ring - place;
		memcpy(wire->history + (size_t)place * bytes, from, (size_t)part * bytes);
		from += (size_t)part * bytes;
		at += part;
		count -= part;
	}
}

/* ---- samples ---- */

static int32_t load_sample(snd_pcm_format_t format, const uint8_t *from)
{
	if (format == SND_PCM_FORMAT_S24_3LE)
		return (int32_t)((uint32_t)from[0] << 8 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 24);
	int32_t sample;
	memcpy(&sample, from, sizeof sample);
	return sample;
}

static void store_sample(snd_pcm_format_t format, uint8_t *to, int32_t sample)
{
	if (format == SND_PCM_FORMAT_S24_3LE) {
		to[0] = (uint8_t)((uint32_t)sample >> 8);
		to[1] = (uint8_t)((uint32_t)sample >> 16);
		to[2] = (uint8_t)((uint32_t)sample >> 24);
	} else {
		memcpy(to, &sample, sizeof sample);
	}
}

/* Random with a normal distribution, mean 0 and RMS 1 (Marsaglia's polar method on xorshift64*). */
static double normal_random(uint64_t *state)
{
	double u, v, square;
	do {
		*state ^= *state >> 12;
		*state ^= *state << 25;
		*state ^= *state >> 27;
		uint64_t bits = *state * UINT64_C(2685821657736338717);
		u = (double)(int32_t)(bits >> 32) / 2147483648.0;
		v = (double)(int32_t)bits / 2147483648.0;
		square = u * u + v * v;
	} while (square >= 1 || square == 0);
	return u * sqrt(-2 * log(square) / square);
}

/* One frame through the analog side: crosstalk between neighbours, then the non-linearity, the gain, and the noise of the input. */
static void analog_frame(struct wire *wire, const int32_t *heard, int32_t *captured)
{
	const struct card *card = wire->card;
	const int64_t channels = card->channels[CAPTURE];
	for (int64_t c = 0; c < channels; c++) {
		double x = heard[c];
		if (card->crosstalk != 0) {
			double before = c > 0 ? heard[c - 1] : 0;
			double after = c + 1 < channels ? heard[c + 1] : 0;
			x += card->crosstalk * (before + after);
		}
		x /= 2147483648.0;
		double y = 0;
		for (int64_t k = card->poly_count - 1; k >= 0; k--)
			y = (y + card->poly[k]) * x;
		y = (x + y * x) * card->gain;
		if (card->noise_rms != 0)
			y += card->noise_rms * normal_random(&wire->noise_state);
		double steps = rint(y * 8388608.0);
		if (steps > 8388607)
			steps = 8388607;
		if (steps < -8388608)
			steps = -8388608;
		captured[c] = (int32_t)steps * 256;
	}
}

/* ---- reading ---- */

/* The part of [at, at + count) that a run holds, as an offset and a length. */
static int64_t overlap(const struct run *run, int64_t at, int64_t count, int64_t *offset)
{
	int64_t end = run->start_frame + LOAD(run->written);
	int64_t stop = LOAD(run->stop_frame);
	if (end > stop)
		end = stop;
	int64_t from = at > run->start_frame ? at : run->start_frame;
	int64_t until = at + count < end ? at + count : end;
	*offset = from - at;
	return until - from;
}

/* The plain case: same format, same width, an ideal wire. Whole spans are copied. */
static void copy_run(struct wire *wire, const struct run *run, int64_t at, uint8_t *frames, int64_t count, size_t bytes)
{
	const int64_t ring = wire->card->history_frames;
	int64_t place = (run->base + at - run->start_frame) % ring;
	int64_t part = count < ring - place ? count : ring - place;
	memcpy(frames, wire->history + (size_t)place * bytes, (size_t)part * bytes);
	if (part < count)
		memcpy(frames + (size_t)part * bytes, wire->history, (size_t)(count - part) * bytes);
}

/* Brings frames of a run to 32 bits and to the width of the inputs. */
static void gather_run(struct wire *wire, const struct run *run, int64_t at, int32_t *block, int64_t count)
{
	const int64_t in = wire->card->channels[CAPTURE], out = wire->card->channels[PLAYBACK];
	const snd_pcm_format_t format = (snd_pcm_format_t)run->format;
	const size_t sample = frame_bytes(format, 1);
	for (int64_t i = 0; i < count; i++) {
		int64_t place = (run->base + at + i - run->start_frame) % wire->card->history_frames;
		const uint8_t *frame = wire->history + (size_t)(place * out) * sample;
		for (int64_t c = 0; c < in && c < out; c++)
			block[i * in + c] = load_sample(format, frame + (size_t)c * sample);
	}
}

static int is_plain(const struct wire *wire, snd_pcm_format_t format, const struct run *run)
{
	const struct card *card = wire->card;
	return !card->analog && card->channels[PLAYBACK] == card->channels[CAPTURE] && run->format == (int64_t)format;
}

static void read_converted(struct wire *wire, snd_pcm_format_t format, const struct run *runs, int64_t run_count,
			   int64_t at, uint8_t *frames, int64_t count)
{
	const int64_t in = wire->card->channels[CAPTURE];
	const size_t sample = frame_bytes(format, 1);
	int32_t block[BLOCK_SAMPLES], captured[BLOCK_SAMPLES];
	const int64_t most = BLOCK_SAMPLES / in;
	while (count > 0) {
		int64_t now = count < most ? count : most;
		memset(block, 0, (size_t)(now * in) * sizeof *block);
		for (int64_t r = 0; r < run_count; r++) {
			int64_t offset, length = overlap(&runs[r], at, now, &offset);
			if (length > 0)
				gather_run(wire, &runs[r], at + offset, block + offset * in, length);
		}
		const int32_t *samples = block;
		if (wire->card->analog) {
			for (int64_t i = 0; i < now; i++)
				analog_frame(wire, block + i * in, captured + i * in);
			samples = captured;
		}
		for (int64_t i = 0; i < now * in; i++)
			store_sample(format, frames + (size_t)i * sample, samples[i]);
		frames += (size_t)(now * in) * sample;
		at += now;
		count -= now;
	}
}

void wire_read(struct wire *wire, snd_pcm_format_t format, int64_t epoch, int64_t at, void *frames, int64_t count)
{
	struct run runs[RUN_SLOTS];
	int64_t run_count = 0;
	int plain = !wire->card->analog;
	int64_t made = LOAD(wire->cable->run_count);
	for (int64_t r = made > RUN_SLOTS ? made - RUN_SLOTS : 0; r < made; r++) {
		const struct run *run = &wire->cable->runs[r % RUN_SLOTS];
		int64_t offset;
		if (run->epoch != epoch || overlap(run, at, count, &offset) <= 0)
			continue;
		runs[run_count++] = *run;
		plain = plain && is_plain(wire, format, run);
	}
	if (!plain) {
		read_converted(wire, format, runs, run_count, at, frames, count);
		return;
	}
	const size_t bytes = frame_bytes(format, wire->card->channels[CAPTURE]);
	int64_t offset = 0;
	if (run_count != 1 || overlap(&runs[0], at, count, &offset) < count)
		memset(frames, 0, (size_t)count * bytes);
	for (int64_t r = 0; r < run_count; r++) {
		int64_t length = overlap(&runs[r], at, count, &offset);
		if (length > 0)
			copy_run(wire, &runs[r], at + offset, (uint8_t *)frames + (size_t)offset * bytes, length, bytes);
	}
}
