// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "field.h"
#include "header.h"

/* Before the bytes of a value. The value of a group is a sequence of records again. */
struct vnt_record {
	__u16 key;
	__u16 length;
};
_Static_assert(sizeof(struct vnt_record) == 4, "struct vnt_record is on disk");

enum kind {
	KIND_TEXT,   /* no terminating 0 on disk */
	KIND_NUMBER, /* eight bytes on disk */
	KIND_BYTES,  /* as they are */
};

struct member {
	uint16_t key;
	enum kind kind;
	size_t offset;
	size_t size;
};

#define MEMBER(key, kind, type, name)                                                    \
	{                                                                                \
		key, kind, offsetof(struct type, name), sizeof(((struct type *)0)->name) \
	}

/* Keys are on disk: a new member gets a new one. */
static const struct member domain_members[] = {
	MEMBER(1, KIND_TEXT, domain, name),
	MEMBER(2, KIND_TEXT, domain, hostname),
	MEMBER(3, KIND_TEXT, domain, kernel),
	MEMBER(4, KIND_TEXT, domain, boot_id),
	MEMBER(5, KIND_TEXT, domain, clock_source),
	MEMBER(6, KIND_NUMBER, domain, timens_monotonic_ns),
	MEMBER(7, KIND_NUMBER, domain, timens_boottime_ns),
	MEMBER(8, KIND_TEXT, domain, clock.method),
	MEMBER(9, KIND_NUMBER, domain, clock.offset_ns),
	MEMBER(10, KIND_NUMBER, domain, clock.drift_ppm),
	MEMBER(11, KIND_NUMBER, domain, clock.bound_ns),
	MEMBER(12, KIND_NUMBER, domain, clock.rejected),
	MEMBER(13, KIND_NUMBER, domain, clock.scatter_ns),
	MEMBER(14, KIND_NUMBER, domain, id),
	MEMBER(15, KIND_NUMBER, domain, horizon_ns),
	{0},
};

static const struct member probe_members[] = {
	MEMBER(1, KIND_TEXT, probe, name),
	MEMBER(2, KIND_NUMBER, probe, domain),
	MEMBER(3, KIND_BYTES, probe, recording),
	MEMBER(4, KIND_NUMBER, probe, netns),
	MEMBER(5, KIND_NUMBER, probe, ifindex),
	MEMBER(6, KIND_NUMBER, probe, direction),
	MEMBER(7, KIND_NUMBER, probe, from),
	MEMBER(8, KIND_NUMBER, probe, to),
	{0},
};

static const struct member field_members[] = {
	MEMBER(1, KIND_NUMBER, field, id),    MEMBER(2, KIND_TEXT, field, name),
	MEMBER(3, KIND_NUMBER, field, scope), MEMBER(4, KIND_NUMBER, field, encoding),
	MEMBER(5, KIND_NUMBER, field, bits),  {0},
};

enum group_key {
	GROUP_DOMAIN = 1,
	GROUP_PROBE = 2,
	GROUP_FIELD = 3,
};

/* The host's integers and doubles of 2, 4 or 8 bytes; a double is its IEEE 754 bits. */
static uint64_t number_get(const void *value, size_t size)
{
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;

	switch (size) {
	case sizeof(u16):
		memcpy(&u16, value, size);
		return u16;
	case sizeof(u32):
		memcpy(&u32, value, size);
		return u32;
	default:
		memcpy(&u64, value, sizeof(u64));
		return u64;
	}
}

static int number_set(void *value, size_t size, uint64_t number)
{
	uint16_t u16 = number;
	uint32_t u32 = number;

	switch (size) {
	case sizeof(u16):
		memcpy(value, &u16, size);
		return u16 == number ? 0 : -EBADMSG;
	case sizeof(u32):
		memcpy(value, &u32, size);
		return u32 == number ? 0 : -EBADMSG;
	default:
		memcpy(value, &number, sizeof(number));
		return 0;
	}
}

static uint8_t *put_head(uint8_t *at, uint16_t key, size_t length)
{
	struct vnt_record record = {.key = htole16(key), .length = htole16(length)};

	memcpy(at, &record, sizeof(record));
	return at + sizeof(record);
}

static uint8_t *put_member(uint8_t *at, const struct member *member, const uint8_t *row)
{
	const uint8_t *value = row + member->offset;
	size_t length = member->size;
	uint64_t number;

	if (member->kind == KIND_TEXT) {
		length = strnlen((const char *)value, member->size - 1);
	} else if (member->kind == KIND_NUMBER) {
		number = htole64(number_get(value, member->size));
		value = (const uint8_t *)&number;
		length = sizeof(number);
	}
	at = put_head(at, member->key, length);
	memcpy(at, value, length);
	return at + length;
}

static uint8_t *put_group(uint8_t *at, uint16_t key, const struct member *members, const void *row)
{
	uint8_t *start = at + sizeof(struct vnt_record), *end = start;

	for (const struct member *member = members; member->key; member++)
		end = put_member(end, member, row);
	put_head(at, key, end - start);
	return end;
}

static size_t group_max(const struct member *members)
{
	size_t bytes = sizeof(struct vnt_record);

	for (const struct member *member = members; member->key; member++)
		bytes += sizeof(struct vnt_record) + member->size + sizeof(uint64_t);
	return bytes;
}

static bool info_usable(const struct trace_info *info)
{
	if (!info->ndomains || info->ndomains > MAX_DOMAINS || info->nprobes > MAX_PROBES)
		return false;
	for (size_t i = 0; i < info->nprobes; i++)
		if (info->probes[i].domain >= info->ndomains)
			return false;
	return true;
}

int header_encode(const struct trace_info *info, uint8_t **payload, size_t *size)
{
	uint8_t *at;

	if (!info_usable(info))
		return -EINVAL;
	at = *payload = malloc(info->ndomains * group_max(domain_members) +
			       info->nprobes * group_max(probe_members) +
			       FIELDS * group_max(field_members));
	if (!at)
		return -ENOMEM;
	for (size_t i = 0; i < info->ndomains; i++)
		at = put_group(at, GROUP_DOMAIN, domain_members, &info->domains[i]);
	for (size_t i = 0; i < info->nprobes; i++)
		at = put_group(at, GROUP_PROBE, probe_members, &info->probes[i]);
	for (size_t i = 0; i < FIELDS; i++)
		at = put_group(at, GROUP_FIELD, field_members, &fields[i]);
	*size = at - *payload;
	return 0;
}

/* The value at *at, which then moves behind it; NULL if it reaches beyond the end. */
static const uint8_t *take_record(const uint8_t **at, const uint8_t *end, struct vnt_record *record)
{
	const uint8_t *value = *at + sizeof(*record);

	if ((size_t)(end - *at) < sizeof(*record))
		return NULL;
	memcpy(record, *at, sizeof(*record));
	record->key = le16toh(record->key);
	record->length = le16toh(record->length);
	if (end - value < record->length)
		return NULL;
	*at = value + record->length;
	return value;
}

/* A text that is too long for this version is cut. */
static int take_member(const struct member *member, uint8_t *to, const uint8_t *value,
		       size_t length)
{
	uint64_t number;

	switch (member->kind) {
	case KIND_TEXT:
		memcpy(to, value, length < member->size ? length : member->size - 1);
		return 0;
	case KIND_NUMBER:
		if (length != sizeof(number))
			return -EBADMSG;
		memcpy(&number, value, sizeof(number));
		return number_set(to, member->size, le64toh(number));
	case KIND_BYTES:
		if (length != member->size)
			return -EBADMSG;
		memcpy(to, value, length);
		return 0;
	}
	return -EBADMSG;
}

/* `row` is all 0 before. */
static int take_group(const uint8_t *at, size_t length, const struct member *members, void *row)
{
	const uint8_t *end = at + length;

	while (at < end) {
		const struct member *member = members;
		struct vnt_record record;
		const uint8_t *value = take_record(&at, end, &record);
		int err;

		if (!value)
			return -EBADMSG;
		while (member->key && member->key != record.key)
			member++;
		if (!member->key)
			continue;
		err = take_member(member, (uint8_t *)row + member->offset, value, record.length);
		if (err)
			return err;
	}
	return 0;
}

/* How many groups of a kind there are, before anything is allocated for them. */
static size_t count_groups(const uint8_t *at, const uint8_t *end, enum group_key key)
{
	struct vnt_record record;
	size_t count = 0;

	while (at < end && take_record(&at, end, &record))
		count += record.key == key;
	return count;
}

static int take_groups(const uint8_t *at, const uint8_t *end, struct trace_info *info)
{
	int err = 0;

	while (!err && at < end) {
		struct vnt_record record;
		const uint8_t *value = take_record(&at, end, &record);

		if (!value)
			return -EBADMSG;
		if (record.key == GROUP_DOMAIN)
			err = take_group(value, record.length, domain_members,
					 &info->domains[info->ndomains++]);
		else if (record.key == GROUP_PROBE)
			err = take_group(value, record.length, probe_members,
					 &info->probes[info->nprobes++]);
	}
	return err;
}

int header_decode(const uint8_t *payload, size_t size, struct trace_info *info)
{
	const uint8_t *end = payload + size;
	size_t ndomains = count_groups(payload, end, GROUP_DOMAIN);
	size_t nprobes = count_groups(payload, end, GROUP_PROBE);
	int err = -ENOMEM;

	memset(info, 0, sizeof(*info));
	if (ndomains > MAX_DOMAINS || nprobes > MAX_PROBES)
		return -EBADMSG;
	info->domains = calloc(ndomains + 1, sizeof(*info->domains));
	info->probes = calloc(nprobes + 1, sizeof(*info->probes));
	if (info->domains && info->probes)
		err = take_groups(payload, end, info);
	if (!err && !info_usable(info))
		err = -EBADMSG;
	if (err)
		trace_info_release(info);
	return err;
}
