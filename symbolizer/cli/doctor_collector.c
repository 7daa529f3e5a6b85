/* Whether the collector is there, ready, and takes our token. */
#include "doctor.h"

#include <string.h>

#include "api.h"

enum { MAX_ANSWER = 1 << 20 };

static bool get(struct doctor *doctor, const char *path, struct error *err)
{
	struct writer body;
	bool ok;

	writer_init(&body, MAX_ANSWER);
	ok = api_get(&doctor->options, path, &body, err);
	writer_fini(&body);
	return ok;
}

static void check_token(struct doctor *doctor)
{
	struct check *check;
	struct error err;

	if (get(doctor, "/api/v1/groups?limit=1", &err)) {
		doctor_add(doctor, "token", FINDING_OK,
			   "the collector lets us read");
		return;
	}
	check = doctor_add(doctor, "token", FINDING_WARN, "%s", err.text);
	doctor_advise(check, "epitaphd token add --role read NAME, and "
		      "--token-file FILE or EPITAPH_TOKEN; for a token of the "
		      "role ingest this is as it should be");
}

void doctor_check_collector(struct doctor *doctor)
{
	struct check *check;
	struct error err;

	if (get(doctor, "/ready", &err)) {
		doctor_add(doctor, "collector", FINDING_OK, "%s is ready",
			   doctor->options.url);
		check_token(doctor);
		return;
	}
	check = doctor_add(doctor, "collector", FINDING_WARN, "%s", err.text);
	if (doctor->options.url_given)
		doctor_advise(check, "reports stay in the spool until epitaph "
			      "flush reaches it");
	else
		doctor_advise(check, "start epitaphd, or name yours with -c "
			      "or EPITAPH_URL; reports stay in the spool "
			      "meanwhile");
}
