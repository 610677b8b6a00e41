#define _GNU_SOURCE
#include "proc.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* A reader sees the old text or the new one. Where the card's folder is gone (unplugged), nothing is written. */
static void put(const struct proc_entry *entry, const char *name, const char *text)
{
	char path[600], draft[600];
	snprintf(path, sizeof path, "%s/%s", entry->folder, name);
	snprintf(draft, sizeof draft, "%s/.%s", entry->folder, name);
	FILE *file = fopen(draft, "we");
	if (file == NULL)
		return;
	fputs(text, file);
	if (fclose(file) != 0 || rename(draft, path) != 0)
		unlink(draft);
}

void proc_status(const struct proc_entry *entry, const snd_pcm_ioplug_t *io, snd_pcm_state_t state, int64_t owner)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	long hw = (long)io->hw_ptr, appl = (long)io->appl_ptr, buffer = (long)io->buffer_size;
	long avail = io->stream == SND_PCM_STREAM_PLAYBACK ? hw + buffer - appl : hw - appl;
	char text[512];
	snprintf(text, sizeof text,
		 "state: %s\n"
		 "owner_pid   : %lld\n"
		 "trigger_time: %lld.%09lld\n"
		 "tstamp      : %lld.%09lld\n"
		 "delay       : %ld\n"
		 "avail       : %ld\n"
		 "avail_max   : %ld\n"
		 "-----\n"
		 "hw_ptr      : %ld\n"
		 "appl_ptr    : %ld\n",
		 snd_pcm_state_name(state), (long long)owner, (long long)entry->triggered.tv_sec,
		 (long long)entry->triggered.tv_nsec, (long long)now.tv_sec, (long long)now.tv_nsec, buffer - avail,
		 avail, avail, hw, appl);
	put(entry, "status", text);
}

void proc_hw_params(const struct proc_entry *entry, const snd_pcm_ioplug_t *io)
{
	if (io == NULL || io->rate == 0) {
		put(entry, "hw_params", "no setup\n");
		return;
	}
	char text[512];
	snprintf(text, sizeof text,
		 "access: %s\n"
		 "format: %s\n"
		 "subformat: STD\n"
		 "channels: %u\n"
		 "rate: %u (%u/1)\n"
		 "period_size: %lu\n"
		 "buffer_size: %lu\n",
		 snd_pcm_access_name(io->access), snd_pcm_format_name(io->format), io->channels, io->rate, io->rate,
		 io->period_size, io->buffer_size);
	put(entry, "hw_params", text);
}

void proc_closed(const struct proc_entry *entry)
{
	put(entry, "status", "closed\n");
	put(entry, "hw_params", "closed\n");
}
