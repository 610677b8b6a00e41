/*
 * A sound card in user space, as an I/O plugin of alsa-lib (pcm_ioplug): real time by CLOCK_MONOTONIC, its outputs wired to its inputs,
 * exclusive per sub-device and direction, with the kernel's xruns. alsa-lib loads it through the asound.conf that loop-card.ts writes.
 *
 * This file opens and closes PCMs and says which parameters they take; stream.c runs them. Positions are 64-bit: a stream on a 32-bit
 * machine would be wrong after its boundary.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "clock.h"
#include "pcm.h"

enum { MIN_PERIODS = 2, MAX_PERIODS = 64, MIN_PERIOD_FRAMES = 16, MAX_PERIOD_FRAMES = 65536 };

/* ---- parameters ---- */

static int loop_hw_params(snd_pcm_ioplug_t *io, snd_pcm_hw_params_t *params)
{
	struct pcm *p = io->private_data;
	(void)params;
	if (is_gone(p) || LOAD(p->card->dying))
		return -ENODEV;
	const struct stream *other = &p->cable->streams[io->stream == SND_PCM_STREAM_PLAYBACK];
	if (is_running(other) && p->cable->rate != io->rate)
		return -EINVAL; /* one card has one clock */
	p->avail_min = (int64_t)io->period_size;
	p->stop_threshold = (int64_t)io->buffer_size;
	proc_hw_params(&p->proc, io);
	return 0;
}

static int loop_hw_free(snd_pcm_ioplug_t *io)
{
	struct pcm *p = io->private_data;
	if (!is_gone(p))
		proc_hw_params(&p->proc, NULL);
	return 0;
}

static int loop_sw_params(snd_pcm_ioplug_t *io, snd_pcm_sw_params_t *params)
{
	struct pcm *p = io->private_data;
	snd_pcm_uframes_t avail_min, stop_threshold;
	snd_pcm_sw_params_get_avail_min(params, &avail_min);
	snd_pcm_sw_params_get_stop_threshold(params, &stop_threshold);
	p->avail_min = (int64_t)avail_min;
	p->stop_threshold = (int64_t)stop_threshold; /* the boundary, where the stream shall never stop, is out of reach */
	stream_changed(p);
	return 0;
}

static int constrain(struct pcm *p)
{
	const struct card *card = p->card;
	snd_pcm_ioplug_t *io = &p->io;
	unsigned accesses[] = { SND_PCM_ACCESS_RW_INTERLEAVED, SND_PCM_ACCESS_MMAP_INTERLEAVED };
	unsigned formats[MAX_FORMATS], rates[MAX_RATES];
	unsigned channels = (unsigned)card->channels[io->stream], narrowest = UINT32_MAX, widest = 0;
	for (int64_t i = 0; i < card->format_count; i++) {
		formats[i] = (unsigned)card->formats[i];
		unsigned bytes = frame_bytes((snd_pcm_format_t)formats[i], channels);
		narrowest = bytes < narrowest ? bytes : narrowest;
		widest = bytes > widest ? bytes : widest;
	}
	for (int64_t i = 0; i < card->rate_count; i++)
		rates[i] = (unsigned)card->rates[i];
	/* Both buffers, and what is on its way between them, fit into the history. */
	unsigned most = (unsigned)((card->history_frames - card->delay_frames) / 2) * widest;

	int err = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_ACCESS, 2, accesses);
	if (err >= 0)
		err = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_FORMAT, (unsigned)card->format_count, formats);
	if (err >= 0)
		err = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_CHANNELS, channels, channels);
	if (err >= 0)
		err = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_RATE, (unsigned)card->rate_count, rates);
	if (err >= 0)
		err = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIODS, MIN_PERIODS, MAX_PERIODS);
	if (err >= 0)
		err = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIOD_BYTES, MIN_PERIOD_FRAMES * narrowest,
						      MAX_PERIOD_FRAMES * widest);
	if (err >= 0)
		err = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_BUFFER_BYTES,
						      MIN_PERIODS * MIN_PERIOD_FRAMES * narrowest, most);
	return err;
}

/* ---- opening and closing ---- */

static void *map_file(const char *path, int fd, size_t bytes)
{
	int own = fd < 0;
	if (own)
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return NULL;
	void *at = MAP_FAILED;
	if (!own || ftruncate(fd, (off_t)bytes) == 0)
		at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (own)
		close(fd);
	return at == MAP_FAILED ? NULL : at;
}

static void free_pcm(struct pcm *p)
{
	if (p->wire.history != NULL)
		munmap(p->wire.history, wire_bytes(p->card));
	if (p->card != NULL)
		munmap(p->card, sizeof *p->card);
	if (p->timer_fd >= 0)
		close(p->timer_fd);
	if (p->lock_fd >= 0)
		close(p->lock_fd);
	if (p->card_fd >= 0)
		close(p->card_fd);
	free(p);
}

static int loop_close(snd_pcm_ioplug_t *io)
{
	struct pcm *p = io->private_data;
	stop_stream(p);
	if (!is_gone(p))
		proc_closed(&p->proc);
	free_pcm(p);
	return 0;
}

static const snd_pcm_ioplug_callback_t callbacks = {
	.start = stream_start,
	.stop = stream_stop,
	.pointer = stream_pointer,
	.transfer = stream_transfer,
	.close = loop_close,
	.hw_params = loop_hw_params,
	.hw_free = loop_hw_free,
	.sw_params = loop_sw_params,
	.prepare = stream_prepare,
	.poll_revents = stream_poll_revents,
};

static int attach_card(struct pcm *p, const char *folder, const char *name)
{
	char path[512];
	snprintf(path, sizeof path, "%s/%s/card", folder, name);
	p->card_fd = open(path, O_RDWR | O_CLOEXEC);
	if (p->card_fd < 0)
		return -ENODEV;
	struct stat file;
	if (fstat(p->card_fd, &file) < 0 || file.st_size != sizeof *p->card)
		return -EINVAL; /* card-file.ts has other fields */
	p->card = map_file(path, p->card_fd, sizeof *p->card);
	if (p->card == NULL || p->card->layout != CARD_LAYOUT)
		return -EINVAL;
	p->generation = LOAD(p->card->generation);
	if (LOAD(p->card->gone))
		return -ENODEV;
	if (LOAD(p->card->denied))
		return -EACCES;
	return LOAD(p->card->busy) ? -EBUSY : 0;
}

/* Takes the sub-device, or the first free one where `wanted` is -1. The lock goes with the process, however it ends. */
static int claim_subdevice(struct pcm *p, const char *folder, const char *name, snd_pcm_stream_t direction, long wanted)
{
	const char letter = direction == SND_PCM_STREAM_PLAYBACK ? 'p' : 'c';
	for (int64_t sub = 0; sub < p->card->subdevices; sub++) {
		if (wanted >= 0 && sub != wanted)
			continue;
		char path[512];
		snprintf(path, sizeof path, "%s/%s/lock-%lld-%lld%c", folder, name, (long long)p->generation, (long long)sub,
			 letter);
		p->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (p->lock_fd < 0)
			return -errno;
		if (flock(p->lock_fd, LOCK_EX | LOCK_NB) == 0) {
			p->cable = &p->card->cables[sub];
			p->stream = &p->cable->streams[direction];
			snprintf(path, sizeof path, "%s/%s/history-%lld", folder, name, (long long)sub);
			p->wire.history = map_file(path, -1, wire_bytes(p->card));
			if (p->wire.history == NULL && wire_bytes(p->card) > 0)
				return -ENOMEM;
			snprintf(p->proc.folder, sizeof p->proc.folder, "%s/proc/card%lld/pcm0%c/sub%lld", folder,
				 (long long)p->card->index, letter, (long long)sub);
			return 0;
		}
		close(p->lock_fd);
		p->lock_fd = -1;
	}
	return -EBUSY;
}

static int open_pcm(struct pcm *p, const char *folder, const char *name, long device, long subdevice,
		    snd_pcm_stream_t direction)
{
	int err = attach_card(p, folder, name);
	if (err < 0)
		return err;
	if (device != 0 || p->card->channels[direction] == 0)
		return -ENOENT;
	err = claim_subdevice(p, folder, name, direction, subdevice);
	if (err < 0)
		return err;
	p->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (p->timer_fd < 0)
		return -errno;

	p->wire.card = p->card;
	p->wire.cable = p->cable;
	p->wire.noise_state = (uint64_t)monotonic_ns() | 1;
	p->history_base = p->cable->history_end;
	take_begin(&p->take);
	/* Whoever held it before may have been killed in the middle. */
	STORE(p->stream->running, 0);
	STORE(p->stream->process, getpid());
	STORE(p->stream->owner, gettid());
	return 0;
}

static int make_plugin(struct pcm *p, const char *name, snd_pcm_stream_t direction, int mode)
{
	p->io.version = SND_PCM_IOPLUG_VERSION;
	p->io.name = "A sound card in user space, for tests";
	p->io.flags = SND_PCM_IOPLUG_FLAG_MONOTONIC | SND_PCM_IOPLUG_FLAG_BOUNDARY_WA;
	p->io.poll_fd = p->timer_fd;
	p->io.poll_events = POLLIN;
	p->io.callback = &callbacks;
	p->io.private_data = p;
	int err = snd_pcm_ioplug_create(&p->io, name, direction, mode);
	if (err < 0) {
		free_pcm(p);
		return err;
	}
	err = constrain(p);
	if (err < 0) {
		snd_pcm_ioplug_delete(&p->io); /* closes, and frees p */
		return err;
	}
	tell_state(p, SND_PCM_STATE_OPEN);
	proc_hw_params(&p->proc, NULL);
	return 0;
}

SND_PCM_PLUGIN_DEFINE_FUNC(loopcard)
{
	const char *folder = NULL;
	char *card = NULL;
	long device = 0, subdevice = -1;
	snd_config_iterator_t i, next;
	(void)root;
	snd_config_for_each(i, next, conf) {
		snd_config_t *entry = snd_config_iterator_entry(i);
		const char *id;
		if (snd_config_get_id(entry, &id) < 0)
			continue;
		if (strcmp(id, "folder") == 0)
			snd_config_get_string(entry, &folder);
		else if (strcmp(id, "card") == 0 && card == NULL)
			snd_config_get_ascii(entry, &card);
		else if (strcmp(id, "device") == 0)
			snd_config_get_integer(entry, &device);
		else if (strcmp(id, "subdevice") == 0)
			snd_config_get_integer(entry, &subdevice);
	}
	struct pcm *p = calloc(1, sizeof *p);
	int err = p == NULL ? -ENOMEM : -EINVAL;
	if (p != NULL) {
		p->card_fd = p->lock_fd = p->timer_fd = -1;
		if (folder != NULL && card != NULL && strchr(card, '/') == NULL)
			err = open_pcm(p, folder, card, device, subdevice, stream);
		if (err < 0)
			free_pcm(p);
		else
			err = make_plugin(p, name, stream, mode);
	}
	free(card);
	if (err == 0)
		*pcmp = p->io.pcm;
	return err;
}

SND_PCM_PLUGIN_SYMBOL(loopcard);
