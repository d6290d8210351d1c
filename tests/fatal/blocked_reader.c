/* blocked_reader.c: the program fails while a goroutine is in the middle of a read of stdio, with the lock of its file.
 *
 *   expect: panic: boom
 *   status: 2
 *   without: something came
 */
#include <gort.h>

#include <stdio.h>
#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#define pipe(ends) _pipe((ends), 64, _O_BINARY)
#define fdopen _fdopen
#else
#include <unistd.h>
#endif

static FILE *input;

static void reads(void *arg)
{
	char line[16];

	(void)arg;
	gort_entersyscall();
	if (fgets(line, sizeof line, input) != NULL)
		puts("something came");
	gort_exitsyscall();
}

static void run(void *arg)
{
	(void)arg;
	gort_go(reads, NULL);
	gort_sleep(20 * GORT_MILLISECOND); /* if it does not read yet, nothing is tested, and nothing fails */
	gort_panics("boom");
}

int main(void)
{
	int ends[2];

	if (pipe(ends) != 0 || (input = fdopen(ends[0], "r")) == NULL)
		return 3;
	return gort_main(run, NULL);
}
