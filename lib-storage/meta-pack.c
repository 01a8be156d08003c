#include "lib-storage/meta-pack.h"

#include <zstd.h>

enum format { FORMAT_PLAIN = 0, FORMAT_ZSTD_1 = 1 };

/* Dictionary 1. What is likeliest stands last, where references to it are shortest. Must never
 * change. */
static const char dictionary_1[] =
	"\r\nX-Spam-Status: No, score=-0.1 required=5.0 tests=BAYES_00,DKIM_SIGNED,DKIM_VALID,"
	"DKIM_VALID_AU,HTML_MESSAGE,RCVD_IN_DNSWL_NONE,SPF_PASS,SPF_HELO_NONE autolearn=ham "
	"autolearn_force=no version=\r\nX-Spam-Flag: NO\r\nX-Spam-Flag: YES\r\nNewsgroups: "
	"\r\nImportance: high\r\nImportance: Normal\r\nPriority: normal\r\nX-Priority: 3 (Normal)"
	"\r\nX-Priority: 1\r\nPrecedence: bulk\r\nPrecedence: list\r\nAuto-Submitted: "
	"auto-generated"
	"\r\nAuto-Submitted: auto-replied\r\nDisposition-Notification-To: <"
	"\r\nList-Help: <mailto:\r\nList-Post: <mailto:\r\nList-Id: <\r\nList-Unsubscribe: "
	"<https://"
	"unsubscribe>, <mailto:unsubscribe@\?subject=unsubscribe>\r\nBcc: \r\nCc: "
	"\r\nUser-Agent: Mozilla Thunderbird\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:"
	"\r\nX-Mailer: Microsoft Outlook 16.0\r\nX-Mailer: Apple Mail (2.\r\nX-Mailer: iPhone Mail "
	"("
	"\r\nAuthentication-Results: mx.google.com; dkim=pass header.i=@ header.s= header.b=; "
	"spf=pass (domain of designates as permitted sender) smtp.mailfrom=; dmarc=pass "
	"(p=NONE sp=NONE dis=NONE) header.from=\r\nX-Original-To: \r\nDelivered-To: "
	"\"message\" \"rfc822\" NIL NIL NIL \"7bit\" (\"image\" \"png\" (\"name\" "
	"\"image001.png\") \"<"
	">\" NIL \"base64\" NIL (\"inline\" (\"filename\" \"image001.png\")) NIL NIL)"
	"(\"image\" \"jpeg\" (\"name\" \"\")(\"application\" \"octet-stream\" (\"name\" \"\") "
	"NIL NIL \"base64\" NIL (\"attachment\" (\"filename\" \"\")) NIL NIL)"
	"(\"application\" \"pdf\" (\"name\" \".pdf\") NIL NIL \"base64\" NIL (\"attachment\" "
	"(\"filename\" \".pdf\")) NIL NIL) \"mixed\" (\"boundary\" \"------------\") NIL NIL NIL) "
	"\"related\" (\"boundary\" \"_----------=_\" \"type\" \"multipart/alternative\") NIL NIL "
	"NIL) "
	"\"alternative\" (\"boundary\" \"----=_Part_\") NIL NIL NIL) \"signed\" (\"micalg\" "
	"\"pgp-sha256\" \"protocol\" \"application/pgp-signature\" \"boundary\" \"=_NextPart_000_\""
	"(\"text\" \"html\" (\"charset\" \"utf-8\") NIL NIL \"quoted-printable\" NIL NIL NIL NIL)"
	"(\"text\" \"plain\" (\"charset\" \"iso-8859-1\") NIL NIL \"7bit\" NIL NIL NIL NIL)"
	"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"8bit\" NIL NIL NIL NIL)"
	"(\"text\" \"plain\" (\"charset\" \"UTF-8\" \"format\" \"flowed\") NIL NIL \"base64\""
	"\r\nMIME-Version: 1.0\r\nContent-Disposition: inline\r\nContent-Language: en-US"
	"\r\nContent-Transfer-Encoding: quoted-printable\r\nContent-Transfer-Encoding: base64"
	"\r\nContent-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: 7bit"
	"\r\nContent-Type: text/html; charset=\"utf-8\"\r\nContent-Type: text/plain; "
	"charset=us-ascii\r\nContent-Type: text/plain; charset=UTF-8; format=flowed"
	"\r\nContent-Type: multipart/mixed; boundary=\"\r\nContent-Type: multipart/alternative;\r\n"
	" boundary=\"----=_Part_\"\r\nReturn-Path: <>\r\nSender: \r\nReply-To: \r\nReferences: <"
	"\r\nIn-Reply-To: <\r\nMessage-ID: <\r\nMessage-Id: <20@mail.gmail.com>\r\nDate: "
	"Sat, Sun, Mon, Tue, Wed, Thu, Fri,  Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec 2024 "
	"2025 2026 00:00 +0000 (UTC)\" \"Re: Fwd: =?UTF-8?Q?= =?utf-8?B?= =?iso-8859-1?Q?"
	"\r\nSubject: Re: \r\nTo: undisclosed-recipients:;\r\nTo: <\r\nFrom: \"info@noreply@.com "
	".org "
	".net .de\" ((\"\" NIL \"info\" \"gmail.com\")) ((NIL NIL \"\" \"\")) ((\"\" NIL \"\" "
	"\"\")) "
	"NIL NIL NIL \"<@>\")(\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"7bit\" NIL NIL "
	"NIL "
	"NIL)";

/* One of each a thread; they live as long as the process. */
static _Thread_local ZSTD_CCtx *compressor;
static _Thread_local ZSTD_DCtx *decompressor;
static _Thread_local ZSTD_CDict *compress_dictionary;
static _Thread_local ZSTD_DDict *decompress_dictionary;

static bool compressor_ready(void)
{
	if (compressor == NULL)
		compressor = ZSTD_createCCtx();
	if (compress_dictionary == NULL)
		compress_dictionary = ZSTD_createCDict(dictionary_1, sizeof(dictionary_1) - 1, 1);
	return compressor != NULL && compress_dictionary != NULL;
}

static bool decompressor_ready(void)
{
	if (decompressor == NULL)
		decompressor = ZSTD_createDCtx();
	if (decompress_dictionary == NULL)
		decompress_dictionary = ZSTD_createDDict(dictionary_1, sizeof(dictionary_1) - 1);
	return decompressor != NULL && decompress_dictionary != NULL;
}

void meta_pack(struct span plain, struct buf *out)
{
	size_t start = out->len, bound = ZSTD_compressBound(plain.n), n;
	char *room;

	buf_add_u8(out, FORMAT_ZSTD_1);
	room = compressor_ready() ? buf_reserve(out, bound) : NULL;
	if (room != NULL) {
		n = ZSTD_compress_usingCDict(
			compressor, room, bound, plain.p, plain.n, compress_dictionary);
		if (!ZSTD_isError(n) && n < plain.n) {
			buf_added(out, n);
			return;
		}
	}
	buf_truncate(out, start);
	buf_add_u8(out, FORMAT_PLAIN);
	buf_add_span(out, plain);
}

bool meta_unpack(struct span stored, size_t max, struct arena *arena, struct span *plain_r)
{
	unsigned long long size;
	uint8_t format;
	char *room;
	size_t n;

	if (!span_get_u8(&stored, &format))
		return false;
	if (format == FORMAT_PLAIN) {
		*plain_r = span_from(arena_dup(arena, stored.p, stored.n), stored.n);
		return stored.n <= max;
	}
	if (format != FORMAT_ZSTD_1 || !decompressor_ready())
		return false;
	/* The frame says its size; a frame that lies fails, as the room is what it said. */
	size = ZSTD_getFrameContentSize(stored.p, stored.n);
	if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR || size > max)
		return false;
	room = arena_alloc(arena, (size_t)size + 1);
	n = ZSTD_decompress_usingDDict(
		decompressor, room, (size_t)size, stored.p, stored.n, decompress_dictionary);
	if (ZSTD_isError(n) || n != size)
		return false;
	*plain_r = span_from(room, n);
	return true;
}
