// SPDX-License-Identifier: GPL-2.0-only
#include "array.h"
#include "changes.h"

/* Behind all that are known as early. */
static int changes_add(struct changes *changes, const struct change_news *news)
{
	size_t at;
	int err;

	if (changes->first == changes->count)
		changes->first = changes->count = 0;
	err = array_reserve(&changes->news, &changes->room, changes->count + 1, sizeof(*news));
	if (err)
		return err;
	at = changes->count++;
	for (; at > changes->first && changes->news[at - 1].known_ns > news->known_ns; at--)
		changes->news[at] = changes->news[at - 1];
	changes->news[at] = *news;
	return 0;
}

int changes_epoch(struct changes *changes, uint64_t known_ns, const struct epoch_row *row)
{
	return changes_add(changes, &(struct change_news){.known_ns = known_ns, .row = *row});
}

void changes_end(struct changes *changes, uint64_t end_ns)
{
	for (size_t i = changes->first; i < changes->count; i++)
		if (changes->news[i].known_ns > end_ns)
			changes->news[i].known_ns = end_ns;
}

/* What was said before, of a later one. */
static void changes_forget_domain(struct changes *changes, uint16_t domain)
{
	size_t kept = changes->first;

	for (size_t i = changes->first; i < changes->count; i++)
		if (!changes->news[i].domain || changes->news[i].row.probe != domain)
			changes->news[kept++] = changes->news[i];
	changes->count = kept;
}

int changes_domain(struct changes *changes, uint16_t domain, uint64_t time_ns)
{
	changes_forget_domain(changes, domain);
	return changes_add(changes, &(struct change_news){.known_ns = time_ns,
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
