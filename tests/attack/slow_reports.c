/* The module of transfers reports a transfer to the switch by this function, instead of by the one of Asterisk whose name
 * differs in the first letters: it lasts so many microseconds longer. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

typedef int (*report)(void *, const char *, const char *, const char *, void *, void *, int);

static void wait_for(const char *variable)
{
	const char *microseconds = getenv(variable);

	if (microseconds) {
		usleep(atoi(microseconds));
	}
}

int tst_refer_notify_transfer_request(void *source, const char *referred_by, const char *extension,
	const char *protocol_id, void *destination, void *params, int state)
{
	report original = (report) dlsym(RTLD_DEFAULT, "ast_refer_notify_transfer_request");
	int result;

	wait_for("SLOW_BEFORE");
	result = original(source, referred_by, extension, protocol_id, destination, params, state);
	wait_for("SLOW_AFTER");
	return result;
}
