/* epitaph doctor: what works on this machine, and what to do where not. It
 * looks at what the shim will need, and then lets the shim show it. */
#include "doctor.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "../print.h"
#include "api.h"

static const char verb[] = "doctor";

static const char *const finding_names[] = {
	[FINDING_OK] = "ok", [FINDING_WARN] = "warn", [FINDING_FAIL] = "fail",
};

struct check *doctor_add(struct doctor *doctor, const char *name,
			 enum finding finding, const char *format, ...)
{
	size_t last = DOCTOR_MAX_CHECKS - 1;
	struct check *check;
	va_list args;

	if (doctor->nchecks <= last)
		last = doctor->nchecks++;
	check = &doctor->checks[last];
	check->name = name;
	check->finding = finding;
	check->advice[0] = '\0';
	va_start(args, format);
	vsnprintf(check->text, sizeof(check->text), format, args);
	va_end(args);
	return check;
}

void doctor_advise(struct check *check, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(check->advice, sizeof(check->advice), format, args);
	va_end(args);
}

/* -1, or the exit status. */
static int parse(int argc, char **argv, struct cli_options *out)
{
	static const struct option options[] = {
		{ "collector", required_argument, NULL, 'c' },
		{ "crash", no_argument, NULL, 'X' }, /* the probe's child */
		{ "help", no_argument, NULL, 'h' },
		{ "json", no_argument, NULL, 'j' },
		{ "spool", required_argument, NULL, 's' },
		{ "symbols", required_argument, NULL, 'S' },
		{ "token-file", required_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:s:S:h", options, NULL)) !=
	       -1) {
		switch (option) {
		case 'c': out->url = optarg; break;
		case 'j': out->json = true; break;
		case 's': out->spool = optarg; break;
		case 't': out->token_file = optarg; break;
		case 'h': return cli_help(verb);
		case 'X': doctor_crash();
		case 'S':
			if (!cli_add_dir(out, optarg))
				return cli_usage(verb, "-S: too many");
			break;
		default: return cli_usage(verb, "wrong option");
		}
	}
	if (optind != argc)
		return cli_usage(verb, "%s: unexpected", argv[optind]);
	return -1;
}

static void print_json(const struct doctor *doctor)
{
	json_t *json = json_object(), *checks = json_array();

	for (size_t i = 0; i < doctor->nchecks; i++) {
		const struct check *check = &doctor->checks[i];
		json_t *object = json_object();

		json_object_set_new(object, "name", json_string(check->name));
		json_object_set_new(object, "finding",
				    json_string(finding_names[
						    check->finding]));
		json_object_set_new(object, "text",
				    print_json_text(check->text));
		json_object_set_new(object, "advice",
				    check->advice[0]
					    ? print_json_text(check->advice)
					    : json_null());
		json_array_append_new(checks, object);
	}
	json_object_set_new(json, "tier", doctor->tier
					  ? json_integer(doctor->tier)
					  : json_null());
	json_object_set_new(json, "complete",
			    json_boolean(doctor->is_complete));
	json_object_set_new(json, "checks", checks);
	json_dumpf(json, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(json);
}

static void print_check(const struct check *check, bool color)
{
	static const char *const colors[] = {
		[FINDING_OK] = "\033[32m", [FINDING_WARN] = "\033[33m",
		[FINDING_FAIL] = "\033[1;31m",
	};

	printf("%s%-4s%s  %-13s", color ? colors[check->finding] : "",
	       finding_names[check->finding], color ? "\033[0m" : "",
	       check->name);
	print_escaped(stdout, check->text);
	putchar('\n');
	if (check->advice[0]) {
		fputs("                   -> ", stdout);
		print_escaped(stdout, check->advice);
		putchar('\n');
	}
}

int cli_doctor(int argc, char **argv)
{
	struct doctor doctor = { .tier = 0 };
	int status = parse(argc, argv, &doctor.options);
	bool good;

	if (status >= 0)
		return status;
	api_defaults(&doctor.options);
	doctor_check_host(&doctor);
	doctor_check_probe(&doctor);
	doctor_check_collector(&doctor);
	good = doctor.tier == 1 && doctor.is_complete;
	if (doctor.options.json) {
		print_json(&doctor);
		return good ? CLI_DONE : CLI_FAILED;
	}
	for (size_t i = 0; i < doctor.nchecks; i++)
		print_check(&doctor.checks[i], cli_color(stdout));
	puts(good ? "\nComplete reports of tier 1 work here."
		  : "\nComplete reports of tier 1 do not work here.");
	return good ? CLI_DONE : CLI_FAILED;
}
