/* A stream from prepare to stop: its position by the card's clock, its samples, its xruns, and the faults that the test asks for. */
#include <errno.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/timerfd.h>
#include <time.h>

#include "clock.h"
#include "pcm.h"

/* However long a period is, a poll wakes this often to see what the test does to the card. */
#define LOOK_NS INT64_C(20000000)

int is_gone(const struct pcm *p)
{
	return LOAD(p->card->gone) || LOAD(p->card->generation) != p->generation;
}

static void lock_card(const struct pcm *p)
{
	while (flock(p->card_fd, LOCK_EX) < 0 && errno == EINTR)
		;
}

static void unlock_card(const struct pcm *p)
{
	flock(p->card_fd, LOCK_UN);
}

void tell_state(const struct pcm *p, snd_pcm_state_t state)
{
	if (!is_gone(p))
		proc_status(&p->proc, &p->io, state, LOAD(p->card->thief) ? p->card->thief : p->stream->owner);
}

/* ---- the clock ---- */

/* Frames that the hardware has played or captured since the start. */
static int64_t stream_position(struct pcm *p)
{
	int64_t frames = cable_frames(p->cable, card_ns(p->card)) - p->stream->start_frame;
	if (frames < 0)
		frames = 0;
	return p->io.stream == SND_PCM_STREAM_CAPTURE ? take_position(&p->take, frames) : frames;
}

static int64_t avail_at(const struct pcm *p, int64_t position)
{
	int64_t appl = (int64_t)p->io.appl_ptr;
	return p->io.stream == SND_PCM_STREAM_PLAYBACK ? position + (int64_t)p->io.buffer_size - appl : position - appl;
}

static void wake_at(struct pcm *p, int64_t monotonic)
{
	if (monotonic == p->wake_ns)
		return;
	p->wake_ns = monotonic;
	struct itimerspec at = { .it_value = { monotonic / 1000000000, monotonic % 1000000000 } };
	timerfd_settime(p->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

/* Long past for CLOCK_MONOTONIC; 0 would disarm the timer. */
enum { AT_ONCE = 1 };

/*
 * Arms the timer for the moment at which avail_min frames will be there when the program has come to frame `appl`. Nobody reads the
 * timer: it stays readable from then on, until it is armed for another moment.
 */
static void arm_timer(struct pcm *p, snd_pcm_state_t state, int64_t appl)
{
	int64_t now = monotonic_ns(), wake = now + LOOK_NS;
	if (state == SND_PCM_STATE_PREPARED) {
		if (avail_at(p, 0) >= p->avail_min)
			wake = AT_ONCE;
	} else if (state == SND_PCM_STATE_RUNNING || state == SND_PCM_STATE_DRAINING) {
		int64_t frame = appl + p->avail_min, alike;
		if (p->io.stream == SND_PCM_STREAM_CAPTURE)
			frame = take_adc_frame(&p->take, frame, &alike);
		else
			frame = state == SND_PCM_STATE_DRAINING ? appl : frame - (int64_t)p->io.buffer_size;
		int64_t due = frame <= 0 ? AT_ONCE : cable_ns(p->cable, p->stream->start_frame + frame);
		due = monotonic_from_card(p->card, due);
		if (due < wake)
			wake = due > now ? due : AT_ONCE;
	} else {
		wake = AT_ONCE; /* an error waits to be seen */
	}
	wake_at(p, wake);
}

void stream_changed(struct pcm *p)
{
	arm_timer(p, p->io.state, (int64_t)p->io.appl_ptr);
}

/* ---- life of a stream ---- */

static void end_stream(struct pcm *p, int64_t position)
{
	if (p->run != NULL) {
		STORE(p->run->stop_frame, p->run->start_frame + position);
		p->run = NULL;
	}
	if (p->io.stream == SND_PCM_STREAM_PLAYBACK) {
		p->history_base += p->written;
		p->written = 0;
		STORE(p->cable->history_end, p->history_base);
	}
	STORE(p->stream->running, 0);
	clock_gettime(CLOCK_MONOTONIC, &p->proc.triggered);
}

void stop_stream(struct pcm *p)
{
	/* After a replug the shared fields belong to somebody else. */
	if (!is_gone(p) && p->stream->running)
		end_stream(p, stream_position(p));
}

static int enter_xrun(struct pcm *p, int64_t position)
{
	STORE(p->stream->position, position);
	STORE(p->stream->xruns, p->stream->xruns + 1);
	end_stream(p, position);
	tell_state(p, SND_PCM_STATE_XRUN);
	wake_at(p, AT_ONCE);
	return -EPIPE;
}

/* Carries out what the test has queued. Returns true where the stream ends with an xrun. */
static int take_faults(struct pcm *p, int64_t position)
{
	struct stream *stream = p->stream;
	while (stream->faults_taken < LOAD(stream->faults_made)) {
		struct fault fault = stream->faults[stream->faults_taken % FAULT_SLOTS];
		int64_t at = fault.at > position ? fault.at : position;
		if (fault.kind == FAULT_XRUN)
			at = position;
		else if (p->io.stream == SND_PCM_STREAM_CAPTURE)
			at = take_shift(&p->take, at, fault.kind == FAULT_DROP ? fault.frames : -fault.frames);
		stream->injected_at = at;
		STORE(stream->faults_taken, stream->faults_taken + 1);
		if (fault.kind == FAULT_XRUN)
			return 1;
	}
	return 0;
}

snd_pcm_sframes_t stream_pointer(snd_pcm_ioplug_t *io)
{
	struct pcm *p = io->private_data;
	if (is_gone(p)) {
		snd_pcm_ioplug_set_state(io, SND_PCM_STATE_DISCONNECTED);
		return (snd_pcm_sframes_t)io->hw_ptr;
	}
	if (io->state != SND_PCM_STATE_RUNNING && io->state != SND_PCM_STATE_DRAINING)
		return (snd_pcm_sframes_t)io->hw_ptr;

	int64_t position = stream_position(p);
	if (take_faults(p, position))
		return enter_xrun(p, position);
	int drains = io->state == SND_PCM_STATE_DRAINING && io->stream == SND_PCM_STREAM_PLAYBACK;
	if (drains && position > (int64_t)io->appl_ptr)
		position = (int64_t)io->appl_ptr;
	if (!drains && avail_at(p, position) >= p->stop_threshold)
		return enter_xrun(p, position);
	STORE(p->stream->position, position);
	return (snd_pcm_sframes_t)position;
}

int stream_prepare(snd_pcm_ioplug_t *io)
{
	struct pcm *p = io->private_data;
	if (is_gone(p))
		return -ENODEV;
	stop_stream(p);
	take_begin(&p->take);
	p->filled = 0;
	p->written = 0;
	tell_state(p, SND_PCM_STATE_PREPARED);
	arm_timer(p, SND_PCM_STATE_PREPARED, 0);
	return 0;
}

/* Lets the wire know of what is played from now on. */
static void add_run(struct pcm *p)
{
	int64_t number = p->cable->run_count;
	struct run *run = &p->cable->runs[number % RUN_SLOTS];
	*run = (struct run){
		.epoch = p->stream->epoch,
		.start_frame = p->stream->start_frame,
		.stop_frame = INT64_MAX,
		.base = p->history_base,
		.written = p->written,
		.format = p->io.format,
	};
	p->run = run;
	STORE(p->cable->run_count, number + 1);
}

int stream_start(snd_pcm_ioplug_t *io)
{
	struct pcm *p = io->private_data;
	if (is_gone(p))
		return -ENODEV;
	lock_card(p);
	int err = begin_stream(p->card, p->cable, (int)io->stream, io->rate);
	if (err == 0 && io->stream == SND_PCM_STREAM_PLAYBACK)
		add_run(p);
	unlock_card(p);
	if (err < 0)
		return err;
	STORE(p->stream->position, 0);
	clock_gettime(CLOCK_MONOTONIC, &p->proc.triggered);
	tell_state(p, SND_PCM_STATE_RUNNING);
	arm_timer(p, SND_PCM_STATE_RUNNING, (int64_t)io->appl_ptr);
	return 0;
}

int stream_stop(snd_pcm_ioplug_t *io)
{
	struct pcm *p = io->private_data;
	stop_stream(p);
	tell_state(p, SND_PCM_STATE_SETUP);
	return 0;
}

/* ---- samples ---- */

/* The stream's frame at `offset` of the areas: those of an mmapped buffer go round, the caller's own begin where the stream is. */
static int64_t first_frame(const snd_pcm_ioplug_t *io, snd_pcm_uframes_t offset)
{
	if (io->access == SND_PCM_ACCESS_RW_INTERLEAVED)
		return (int64_t)io->appl_ptr;
	snd_pcm_uframes_t ahead = offset + io->buffer_size - io->appl_ptr % io->buffer_size;
	return (int64_t)(io->appl_ptr + ahead % io->buffer_size);
}

static void play(struct pcm *p, int64_t frame, const uint8_t *from, int64_t count)
{
	wire_write(&p->wire, p->io.format, p->history_base + frame, from, count);
	p->written = frame + count;
	if (p->run != NULL)
		STORE(p->run->written, p->written);
}

static void capture(struct pcm *p, int64_t frame, uint8_t *to, int64_t count)
{
	const size_t bytes = frame_bytes(p->io.format, p->io.channels);
	/* alsa-lib asks for the same frames of an mmapped buffer again and again; they are already there. */
	if (p->io.access == SND_PCM_ACCESS_MMAP_INTERLEAVED && frame < p->filled) {
		int64_t known = p->filled - frame < count ? p->filled - frame : count;
		frame += known;
		to += (size_t)known * bytes;
		count -= known;
	}
	if (count > 0)
		p->filled = frame + count;
	while (count > 0) {
		int64_t alike;
		int64_t adc = take_adc_frame(&p->take, frame, &alike);
		int64_t part = count < alike ? count : alike;
		int64_t heard = p->stream->start_frame + adc - p->card->delay_frames;
		wire_read(&p->wire, p->io.format, p->stream->epoch, heard, to, part);
		frame += part;
		to += (size_t)part * bytes;
		count -= part;
	}
}

snd_pcm_sframes_t stream_transfer(snd_pcm_ioplug_t *io, const snd_pcm_channel_area_t *areas, snd_pcm_uframes_t offset,
				  snd_pcm_uframes_t size)
{
	struct pcm *p = io->private_data;
	if (is_gone(p))
		return -ENODEV;
	/* What comes too late is an xrun, although nobody looked at the pointer in between. */
	if (io->state == SND_PCM_STATE_RUNNING) {
		int64_t position = stream_position(p);
		if (avail_at(p, position) >= p->stop_threshold) {
			snd_pcm_ioplug_set_state(io, SND_PCM_STATE_XRUN);
			return enter_xrun(p, position);
		}
	}
	uint8_t *bytes = (uint8_t *)areas[0].addr + areas[0].first / 8 + offset * (areas[0].step / 8);
	int64_t frame = first_frame(io, offset);
	if (io->stream == SND_PCM_STREAM_PLAYBACK)
		play(p, frame, bytes, (int64_t)size);
	else
		capture(p, frame, bytes, (int64_t)size);
	/* An mmapped capture is transferred before the program takes it. */
	if (io->stream == SND_PCM_STREAM_PLAYBACK || io->access == SND_PCM_ACCESS_RW_INTERLEAVED)
		arm_timer(p, io->state, frame + (int64_t)size);
	return (snd_pcm_sframes_t)size;
}

int stream_poll_revents(snd_pcm_ioplug_t *io, struct pollfd *fds, unsigned int count, unsigned short *revents)
{
	struct pcm *p = io->private_data;
	const unsigned short ready = io->stream == SND_PCM_STREAM_PLAYBACK ? POLLOUT : POLLIN;
	(void)fds;
	(void)count;
	snd_pcm_sframes_t avail = snd_pcm_avail_update(io->pcm);
	*revents = 0;
	switch (io->state) {
	case SND_PCM_STATE_RUNNING:
	case SND_PCM_STATE_PREPARED:
		if (avail >= p->avail_min)
			*revents = ready;
		break;
	case SND_PCM_STATE_DRAINING:
		break;
	case SND_PCM_STATE_DISCONNECTED:
		*revents = POLLERR | POLLNVAL;
		break;
	default:
		*revents = POLLERR | ready;
	}
	if (*revents == 0 && p->wake_ns <= monotonic_ns())
		stream_changed(p);
	return 0;
}
