/* The files that the kernel would show under /proc/asound for one sub-device, in its words (sound/core/pcm.c). */
#ifndef LOOP_PROC_H
#define LOOP_PROC_H

#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>

struct proc_entry {
	char folder[512]; /* .../card0/pcm0p/sub0 */
	struct timespec triggered;
};

/* Tells of an open PCM: `state` may be ahead of io->state, which alsa-lib changes after the callback. */
void proc_status(const struct proc_entry *entry, const snd_pcm_ioplug_t *io, snd_pcm_state_t state, int64_t owner);

/* `io` is NULL, or has no rate yet, before the hardware parameters are chosen. */
void proc_hw_params(const struct proc_entry *entry, const snd_pcm_ioplug_t *io);

void proc_closed(const struct proc_entry *entry);

#endif
