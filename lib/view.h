/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * view.h - the bytes of a packet that a probe copied, and what hashes are made of.
 *
 * Everything is read as 32-bit words: every header starts on a multiple of four bytes from the network
 * header, and the BPF verifier wants aligned stack reads.
 */
#ifndef VNT_VIEW_H
#define VNT_VIEW_H

#include <linux/types.h>

#define VNT_HEADER_MAX   128 /* bytes a probe copies from the network header on, at most */
#define VNT_HEADER_USUAL 64  /* bytes of them that most packets' IDs are made of (tunnel.h) */

/* What a probe sees of a packet before anything is decided. Lives on the BPF stack. */
struct vnt_view {
	union {
		__u8 header[VNT_HEADER_MAX]; /* garbage from `available` on */
		__u32 words[VNT_HEADER_MAX / 4];
		__u64 long_words[VNT_HEADER_MAX / 8];
	};
	__u32 available; /* valid bytes in `header` */
	__u32 length;    /* bytes of the packet from the network header on */
	__u32 ethertype; /* host order */
	__u32 linear;    /* as `available`, but of the packet's memory: there may be more to copy */
};
_Static_assert(sizeof(struct vnt_view) == 144, "the filter's loads rely on it");

#ifdef __clang__
#define VNT_UNROLL _Pragma("clang loop unroll(full)")
#else
#define VNT_UNROLL
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define vnt_ntohl(x) __builtin_bswap32(x)
#else
#define vnt_ntohl(x) (x)
#endif

/*
 * Makes the BPF verifier forget what it knows of a number, by means of one that it knows nothing of. From
 * where ways meet it goes on with each of the states they lead to, as long as it knows them to differ:
 * with packets in packets those are too many.
 */
#ifdef __bpf__
#define VNT_FORGET(number, unknown)                                              \
	do {                                                                     \
		__u64 forgotten = (number), any = (unknown);                     \
		asm volatile("%0 ^= %1; %0 ^= %1" : "+r"(forgotten) : "r"(any)); \
		(number) = forgotten;                                            \
	} while (0)
#else
#define VNT_FORGET(number, unknown) ((void)(number), (void)(unknown))
#endif

/* Word `index` in host order. The mask is for the verifier; callers stay below `available`. */
static __always_inline __u32 vnt_word(const struct vnt_view *view, __u32 index)
{
	return vnt_ntohl(view->words[index & (VNT_HEADER_MAX / 4 - 1)]);
}

static __always_inline int vnt_reaches(const struct vnt_view *view, __u32 words)
{
	return words * 4 <= view->available;
}

#define VNT_MULTIPLIER 0x9e3779b97f4a7c15ull
#define VNT_SEED       0x2545f4914f6cdd1dull /* anything but 0, of which a hash may be 0 again */

/* One round of a multiply-xorshift hash: bijective in `hash` for any value, and the other way round. */
static __always_inline __u64 vnt_mix(__u64 hash, __u64 value)
{
	hash = (hash ^ value) * VNT_MULTIPLIER;
	return hash ^ hash >> 32;
}

/*
 * Of a row of values: the hash that went through all of them, and their sum. One round does not spread the
 * highest bits of a value far, and those of the next value can cancel them: but not in the sum as well.
 */
static __always_inline __u64 vnt_seal(__u64 hash, __u64 sum)
{
	return hash ^ sum * VNT_SEED;
}

static __always_inline void vnt_copy_words(__u8 *to, const struct vnt_view *view, __u32 first,
					   __u32 words)
{
	for (__u32 i = 0; i < words; i++)
		((__u32 *)to)[i] = view->words[first + i];
}

#endif
