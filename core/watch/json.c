/* json.c: text of the program, which may be anything, inside JSON. */
#include "core/watch/watch.h"

#include <stdio.h>
#include <string.h>

/* The length of the UTF-8 sequence at s, or 0 if it is none. Overlong ones and surrogates are none. */
static size_t utf8_length(const unsigned char *s)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3
	           : s[0] < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

size_t rt_json_char(char out[RT_JSON_CHAR], const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t n = utf8_length(s);

	if (*s == '"' || *s == '\\')
		snprintf(out, RT_JSON_CHAR, "\\%c", *s);
	else if (*s < 0x20 || *s == 0x7f)
		snprintf(out, RT_JSON_CHAR, "\\u%04x", *s);
	else if (n > 0)
		snprintf(out, RT_JSON_CHAR, "%.*s", (int)n, text);
	else
		snprintf(out, RT_JSON_CHAR, "\\ufffd");
	return n > 0 ? n : 1;
}
