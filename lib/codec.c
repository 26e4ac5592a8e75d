// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <lz4.h>
#include <zlib.h>

#include "codec.h"

static size_t lz4_compress(const void *in, size_t size, void *out, size_t room)
{
	return LZ4_compress_default(in, out, size, room);
}

static int lz4_decompress(const void *in, size_t size, void *out, size_t raw)
{
	int got = LZ4_decompress_safe(in, out, size, raw);

	return got >= 0 && (size_t)got == raw ? 0 : -EBADMSG;
}

static size_t zlib_compress(const void *in, size_t size, void *out, size_t room)
{
	uLongf got = room;

	return compress2(out, &got, in, size, Z_DEFAULT_COMPRESSION) == Z_OK ? got : 0;
}

static int zlib_decompress(const void *in, size_t size, void *out, size_t raw)
{
	uLongf got = raw;

	return uncompress(out, &got, in, size) == Z_OK && got == raw ? 0 : -EBADMSG;
}

static const struct codec codecs[] = {
	{CODEC_NONE, "none", NULL, NULL},
	{CODEC_LZ4, "lz4", lz4_compress, lz4_decompress},
	{CODEC_ZLIB, "zlib", zlib_compress, zlib_decompress},
};

const struct codec *codec_find(uint8_t id)
{
	for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++)
		if (codecs[i].id == id)
			return &codecs[i];
	return NULL;
}
