/*
 * Plays frames that can be told apart and captures them, several starts in one process: where do they come back, and are they the same?
 *
 *   duplex DEVICE CHANNELS RATE PERIOD_FRAMES PERIODS STARTS FRAMES rw|mmap
 *
 * Prints one line per start, `offset wrong`: the capture frame of playback frame 0, and how many samples differ from what was played.
 * The last line is `cpu` and the seconds of processor time. It ends with status 1 at the first error.
 */
#include <alsa/asoundlib.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct shape {
	const char *device;
	unsigned channels, rate, periods, starts;
	snd_pcm_uframes_t period;
	int64_t frames;
	snd_pcm_access_t access;
};

static void must(int err, const char *what)
{
	if (err >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, snd_strerror(err));
	exit(1);
}

/* Never 0, so that it differs from silence. */
static int32_t sample(int64_t frame, unsigned channel)
{
	uint64_t x = ((uint64_t)frame * 64 + channel + 1) * UINT64_C(0x9E3779B97F4A7C15);
	x = (x ^ x >> 29) * UINT64_C(0xBF58476D1CE4E5B9);
	return (int32_t)(uint32_t)(x >> 32 | 1);
}

static snd_pcm_t *open_pcm(const struct shape *s, snd_pcm_stream_t direction)
{
	snd_pcm_t *pcm;
	snd_pcm_hw_params_t *params;
	snd_pcm_sw_params_t *software;
	snd_pcm_uframes_t boundary;
	snd_pcm_hw_params_alloca(&params);
	snd_pcm_sw_params_alloca(&software);
	must(snd_pcm_open(&pcm, s->device, direction, SND_PCM_NONBLOCK), "open");
	must(snd_pcm_hw_params_any(pcm, params), "any");
	must(snd_pcm_hw_params_set_access(pcm, params, s->access), "access");
	must(snd_pcm_hw_params_set_format(pcm, params, SND_PCM_FORMAT_S32_LE), "format");
	must(snd_pcm_hw_params_set_channels(pcm, params, s->channels), "channels");
	must(snd_pcm_hw_params_set_rate(pcm, params, s->rate, 0), "rate");
	must(snd_pcm_hw_params_set_period_size(pcm, params, s->period, 0), "period");
	must(snd_pcm_hw_params_set_periods(pcm, params, s->periods, 0), "periods");
	must(snd_pcm_hw_params(pcm, params), "parameters");
	must(snd_pcm_sw_params_current(pcm, software), "software parameters");
	must(snd_pcm_sw_params_get_boundary(software, &boundary), "boundary");
	must(snd_pcm_sw_params_set_start_threshold(pcm, software, boundary), "start threshold");
	must(snd_pcm_sw_params(pcm, software), "software parameters");
	return pcm;
}

static void play_period(const struct shape *s, snd_pcm_t *pcm, int32_t *block, int64_t *played)
{
	for (snd_pcm_uframes_t f = 0; f < s->period; f++)
		for (unsigned c = 0; c < s->channels; c++)
			block[f * s->channels + c] = sample(*played + (int64_t)f, c);
	int mapped = s->access == SND_PCM_ACCESS_MMAP_INTERLEAVED;
	snd_pcm_sframes_t done = (mapped ? snd_pcm_mmap_writei : snd_pcm_writei)(pcm, block, s->period);
	must((int)done, "write");
	*played += done;
}

static snd_pcm_sframes_t capture_period(const struct shape *s, snd_pcm_t *pcm, int32_t *block)
{
	int mapped = s->access == SND_PCM_ACCESS_MMAP_INTERLEAVED;
	snd_pcm_sframes_t done = (mapped ? snd_pcm_mmap_readi : snd_pcm_readi)(pcm, block, s->period);
	must((int)done, "read");
	return done;
}

static void run(const struct shape *s, snd_pcm_t *out, snd_pcm_t *in, int32_t *block)
{
	int64_t played = 0, captured = 0, offset = -1, wrong = 0;
	for (unsigned p = 0; p < s->periods; p++)
		play_period(s, out, block, &played);
	must(snd_pcm_start(in), "start");
	must(snd_pcm_start(out), "start");
	while (captured < s->frames) {
		must(snd_pcm_wait(in, 5000) - 1, "wait");
		for (snd_pcm_sframes_t avail = snd_pcm_avail_update(in); avail >= (snd_pcm_sframes_t)s->period;
		     avail = snd_pcm_avail_update(in)) {
			snd_pcm_sframes_t got = capture_period(s, in, block);
			for (snd_pcm_sframes_t f = 0; f < got; f++, captured++) {
				const int32_t *frame = block + f * s->channels;
				if (offset < 0 && frame[0] == sample(0, 0))
					offset = captured;
				for (unsigned c = 0; c < s->channels; c++)
					wrong += frame[c] != (offset < 0 ? 0 : sample(captured - offset, c));
			}
		}
		while (snd_pcm_avail_update(out) >= (snd_pcm_sframes_t)s->period)
			play_period(s, out, block, &played);
	}
	must((int)snd_pcm_avail_update(in), "capture");
	must((int)snd_pcm_avail_update(out), "playback");
	must(snd_pcm_drop(in), "drop");
	must(snd_pcm_drop(out), "drop");
	must(snd_pcm_prepare(in), "prepare");
	must(snd_pcm_prepare(out), "prepare");
	printf("%" PRId64 " %" PRId64 "\n", offset, wrong);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	if (argc != 9)
		return 2;
	struct shape s = {
		.device = argv[1],
		.channels = (unsigned)atoi(argv[2]),
		.rate = (unsigned)atoi(argv[3]),
		.period = (snd_pcm_uframes_t)atol(argv[4]),
		.periods = (unsigned)atoi(argv[5]),
		.starts = (unsigned)atoi(argv[6]),
		.frames = atoll(argv[7]),
		.access = strcmp(argv[8], "mmap") == 0 ? SND_PCM_ACCESS_MMAP_INTERLEAVED : SND_PCM_ACCESS_RW_INTERLEAVED,
	};
	snd_pcm_t *out = open_pcm(&s, SND_PCM_STREAM_PLAYBACK);
	snd_pcm_t *in = open_pcm(&s, SND_PCM_STREAM_CAPTURE);
	int32_t *block = calloc(s.period * s.channels, sizeof *block);
	for (unsigned i = 0; block != NULL && i < s.starts; i++)
		run(&s, out, in, block);
	free(block);
	snd_pcm_close(in);
	snd_pcm_close(out);
	printf("cpu %.3f\n", (double)clock() / CLOCKS_PER_SEC);
	return 0;
}
