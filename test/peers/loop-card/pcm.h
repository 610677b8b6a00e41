/* One open PCM: the plugin's data behind alsa-lib's handle, and what alsa-lib calls while it is open. */
#ifndef LOOP_PCM_H
#define LOOP_PCM_H

#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>

#include "card.h"
#include "proc.h"
#include "take.h"
#include "wire.h"

struct pcm {
	snd_pcm_ioplug_t io;
	int card_fd, lock_fd, timer_fd;
	struct card *card;
	struct cable *cable;
	struct stream *stream;
	struct wire wire;
	struct proc_entry proc;
	int64_t generation;
	int64_t avail_min, stop_threshold, wake_ns;
	/* Playback: what was written since prepare, and where it lies in the history. */
	struct run *run;
	int64_t history_base, written;
	/* Capture: what was lost or repeated, and how far the mmapped buffer is filled. */
	struct take take;
	int64_t filled;
};

/* True from the moment that the card was unplugged, also when it is back: this handle stays dead. */
int is_gone(const struct pcm *p);

/* Writes the state to the tree of /proc/asound; it may be ahead of io->state, which alsa-lib changes after the callback. */
void tell_state(const struct pcm *p, snd_pcm_state_t state);

/* Ends the stream, where one runs: the wire carries nothing more. */
void stop_stream(struct pcm *p);

/* Arms the poll timer anew, after something else than time has changed. */
void stream_changed(struct pcm *p);

/* pcm_ioplug's callbacks of a stream. */
int stream_prepare(snd_pcm_ioplug_t *io);
int stream_start(snd_pcm_ioplug_t *io);
int stream_stop(snd_pcm_ioplug_t *io);
snd_pcm_sframes_t stream_pointer(snd_pcm_ioplug_t *io);
snd_pcm_sframes_t stream_transfer(snd_pcm_ioplug_t *io, const snd_pcm_channel_area_t *areas, snd_pcm_uframes_t offset,
				  snd_pcm_uframes_t size);
int stream_poll_revents(snd_pcm_ioplug_t *io, struct pollfd *fds, unsigned int count, unsigned short *revents);

#endif
