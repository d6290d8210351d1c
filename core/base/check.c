/* check.c: prints and stops. What each function promises stands in check.h.
 *
 * The formatter is our own: vsnprintf may take the locks of the locale and allocate for wide formats, and a throw
 * may come from a signal handler or from inside a broken allocator. It knows the eight conversions
 * of check.h; another one is printed as it stands, so that a mistake is visible and harmless.
 */
#include "core/base/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINE = 1024 };

struct line {
	char *text;
	size_t n, cap;
};

void (*rt_throw_hook)(const char *what);

static void put(struct line *l, char c)
{
	if (l->n < l->cap)
		l->text[l->n++] = c;
}

static void put_string(struct line *l, const char *s)
{
	if (s == NULL)
		s = "(null)";
	while (*s != '\0')
		put(l, *s++);
}

static void put_number(struct line *l, unsigned long long v, unsigned base)
{
	char digits[24];
	size_t n = 0;

	do
		digits[n++] = "0123456789abcdef"[v % base];
	while ((v /= base) != 0);
	while (n > 0)
		put(l, digits[--n]);
}

static void put_signed(struct line *l, long long v)
{
	if (v < 0)
		put(l, '-');
	put_number(l, v < 0 ? 0 - (unsigned long long)v : (unsigned long long)v, 10);
}

/* One conversion; f stands behind the '%'. Returns what follows it. */
static const char *put_conversion(struct line *l, const char *f, va_list *ap)
{
	if (f[0] == 'z' && f[1] == 'u') {
		put_number(l, va_arg(*ap, size_t), 10);
		return f + 2;
	}
	if (f[0] == 'l' && f[1] == 'l' && (f[2] == 'u' || f[2] == 'x')) {
		put_number(l, va_arg(*ap, unsigned long long), f[2] == 'u' ? 10 : 16);
		return f + 3;
	}
	switch (f[0]) {
	case 's':
		put_string(l, va_arg(*ap, const char *));
		return f + 1;
	case 'd':
		put_signed(l, va_arg(*ap, int));
		return f + 1;
	case 'u':
		put_number(l, va_arg(*ap, unsigned), 10);
		return f + 1;
	case 'p':
		put_string(l, "0x");
		put_number(l, (uintptr_t)va_arg(*ap, void *), 16);
		return f + 1;
	case '%':
		put(l, '%');
		return f + 1;
	default:
		put(l, '%');
		return f;
	}
}

/* Nobody can be told that descriptor 2 does not take the text, so an error ends the attempt. */
static void write_out(const char *p, size_t n)
{
	int saved = errno;

	while (n > 0) {
		long w = (long)write(2, p, (unsigned)n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			break;
		p += w;
		n -= (size_t)w;
	}
	errno = saved;
}

static void put_all(struct line *l, const char *format, va_list *ap)
{
	while (*format != '\0')
		if (*format == '%')
			format = put_conversion(l, format + 1, ap);
		else
			put(l, *format++);
}

void rt_print(const char *format, ...)
{
	char text[LINE];
	struct line l = {text, 0, sizeof text};
	va_list ap;

	va_start(ap, format);
	put_all(&l, format, &ap);
	va_end(ap);
	if (l.n == sizeof text)
		text[l.n - 1] = '\n'; /* cut: the next line must not stick to it */
	write_out(text, l.n);
}

void rt_print_bytes(const char *p, size_t n)
{
	write_out(p, n);
}

size_t rt_format(char *buf, size_t size, const char *format, ...)
{
	struct line l = {buf, 0, size - 1};
	va_list ap;

	va_start(ap, format);
	put_all(&l, format, &ap);
	va_end(ap);
	buf[l.n] = '\0';
	return l.n;
}

_Noreturn RT_COLD void rt_throw_at(const char *what, const char *file, int line)
{
	if (rt_throw_hook != NULL)
		rt_throw_hook(what);
	rt_print("fatal error: %s\n\truntime: %s:%d\n", what, file, line);
	abort();
}

_Noreturn RT_COLD void rt_misuse(const char *function, const char *what)
{
	if (rt_throw_hook != NULL)
		rt_throw_hook(what);
	rt_print("gort: %s: %s\n", function, what);
	abort();
}
