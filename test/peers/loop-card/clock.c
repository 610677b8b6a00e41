#include "clock.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#define NS_PER_SECOND INT64_C(1000000000)
/* The edge lies a little ahead of the first start, so that the second one is not late for it. */
#define EDGE_LEAD_NS INT64_C(10000000)
#define JOIN_WINDOW_NS INT64_C(50000000)

int64_t monotonic_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

/* How long the clock has stood still until `now`. A writer that died in the middle of a change does not hold us up. */
static int64_t stalled_ns(const struct card *card, int64_t now)
{
	int64_t total = 0, from = 0, until = 0;
	for (int attempt = 0; attempt < 1000; attempt++) {
		int64_t version = LOAD(card->stall.version);
		total = LOAD(card->stall.total_ns);
		from = LOAD(card->stall.from_ns);
		until = LOAD(card->stall.until_ns);
		if (version % 2 == 0 && version == LOAD(card->stall.version))
			break;
	}
	if (now > until)
		return total + until - from;
	return now > from ? total + now - from : total;
}

int64_t card_ns(const struct card *card)
{
	int64_t now = monotonic_ns();
	return now - stalled_ns(card, now);
}

int64_t monotonic_from_card(const struct card *card, int64_t ns)
{
	return ns + stalled_ns(card, monotonic_ns());
}

int64_t cable_frames(const struct cable *cable, int64_t ns)
{
	int64_t passed = ns - cable->epoch_ns;
	if (passed < 0)
		return 0;
	/* In two parts: a product of all nanoseconds would overflow after a day. */
	return passed / NS_PER_SECOND * cable->rate + passed % NS_PER_SECOND * cable->rate / NS_PER_SECOND;
}

int64_t cable_ns(const struct cable *cable, int64_t frames)
{
	int64_t part = frames % cable->rate * NS_PER_SECOND;
	return cable->epoch_ns + frames / cable->rate * NS_PER_SECOND + (part + cable->rate - 1) / cable->rate;
}

int is_running(const struct stream *stream)
{
	return LOAD(stream->running) && (kill((pid_t)stream->process, 0) == 0 || errno != ESRCH);
}

static int64_t skew(const struct card *card, int direction)
{
	int64_t frames = direction == PLAYBACK ? card->start_skew_frames : -card->start_skew_frames;
	return frames > 0 ? frames : 0;
}

int begin_stream(struct card *card, struct cable *cable, int direction, unsigned rate)
{
	struct stream *stream = &cable->streams[direction];
	const struct stream *other = &cable->streams[!direction];
	int64_t now = card_ns(card);

	if (!is_running(other)) {
		cable->epoch++;
		cable->epoch_ns = now + EDGE_LEAD_NS;
		cable->rate = rate;
		stream->edge_frame = 0;
	} else if (cable->rate != rate) {
		return -EINVAL; /* one card has one clock */
	} else if (now - other->started_ns < JOIN_WINDOW_NS && stream->epoch != cable->epoch) {
		stream->edge_frame = other->edge_frame;
	} else {
		stream->edge_frame = cable_frames(cable, now) + 1;
	}
	stream->epoch = cable->epoch;
	stream->start_frame = stream->edge_frame + skew(card, direction);
	stream->started_ns = now;
	STORE(stream->running, 1);
	return 0;
}
