#include "take.h"

#include <string.h>

void take_begin(struct take *take)
{
	take->edits[0] = (struct edit){ .at = 0, .shift = 0 };
	take->edit_count = 1;
}

int64_t take_shift(struct take *take, int64_t at, int64_t frames)
{
	if (take->edit_count == MAX_EDITS) {
		/* The oldest is far behind whatever can still be read. */
		memmove(take->edits, take->edits + 1, sizeof take->edits - sizeof take->edits[0]);
		take->edit_count--;
	}
	struct edit last = take->edits[take->edit_count - 1];
	if (at < last.at)
		at = last.at;
	if (at + last.shift + frames < 0)
		at = -frames - last.shift; /* what was never captured cannot come again */
	take->edits[take->edit_count++] = (struct edit){ .at = at, .shift = last.shift + frames };
	return at;
}

int64_t take_position(const struct take *take, int64_t adc)
{
	int k = 0;
	while (k + 1 < take->edit_count && adc - take->edits[k].shift >= take->edits[k + 1].at)
		k++;
	int64_t n = adc - take->edits[k].shift;
	return n > take->edits[k].at ? n : take->edits[k].at; /* frames are being lost: nothing comes */
}

int64_t take_adc_frame(const struct take *take, int64_t n, int64_t *alike)
{
	int k = take->edit_count - 1;
	while (k > 0 && n < take->edits[k].at)
		k--;
	*alike = k + 1 < take->edit_count ? take->edits[k + 1].at - n : INT64_MAX;
	return n + take->edits[k].shift;
}
