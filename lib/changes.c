// SPDX-License-Identifier: GPL-2.0-only
#include "array.h"
#include "changes.h"

static int changes_add(struct changes *changes, const struct change_news *news)
{
	int err;

	if (changes->first == changes->count)
		changes->first = changes->count = 0;
	err = array_reserve(&changes->news, &changes->room, changes->count + 1, sizeof(*news));
	if (!err)
		changes->news[changes->count++] = *news;
	return err;
}

int changes_epoch(struct changes *changes, uint64_t known_ns, const struct epoch_row *row)
{
	return changes_add(changes, &(struct change_news){.known_ns = known_ns, .row = *row});
}

int changes_domain(struct changes *changes, uint64_t known_ns, uint16_t domain, uint64_t time_ns)
{
	return changes_add(changes, &(struct change_news){.known_ns = known_ns,
							  .domain = true,
							  .row.probe = domain,
							  .row.time_ns = time_ns});
}

static int news_tell(const struct change_news *news, struct epochs *epochs, struct rates *rates)
{
	int err;

	if (news->domain)
		return epochs_domain(epochs, news->row.probe, news->row.time_ns);
	err = epochs_probe(epochs, &news->row);
	return err ? err : rates_add(rates, &news->row);
}

int changes_tell(struct changes *changes, uint64_t until_ns, struct epochs *epochs,
		 struct rates *rates)
{
	int err = 0;

	while (!err && changes_due(changes, until_ns))
		err = news_tell(&changes->news[changes->first++], epochs, rates);
	return err;
}

void changes_release(struct changes *changes)
{
	free(changes->news);
	*changes = (struct changes){0};
}
