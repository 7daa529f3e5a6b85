/* The symbol store's room, what is remembered of servers in it, and what is
 * taken into it, damaged in all ways. */
#include "../../symbolizer/intake.h"
#include "../../symbolizer/server.h"
#include "../../symbolizer/store.h"
#include "test.h"

#include <elf.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char dir[64];
static const struct build_id one = { .len = 2, .bytes = { 0xab, 1 } };

static void make_dir(void)
{
	snprintf(dir, sizeof(dir), "/tmp/epitaph-unit.XXXXXX");
	if (!mkdtemp(dir))
		exit(1);
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_dir(void)
{
	CHECK_NUMBER(nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static void make_file(const char *path, const void *bytes, size_t len)
{
	int fd;

	/* ext4 writes a file that is cut and written anew to disk at once. */
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	CHECK(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
	close(fd);
}

static void set_age(const char *path, time_t seconds)
{
	struct timespec times[2] = { { .tv_sec = time(NULL) - seconds },
				     { .tv_sec = time(NULL) - seconds } };

	CHECK_NUMBER(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* A file of 100 bytes, used AGE seconds ago. */
static void put(uint8_t number, enum store_kind kind, time_t age)
{
	struct build_id id = { .len = 2, .bytes = { 0xab, number } };
	char path[PATH_MAX], bytes[100] = { 0 };

	CHECK(store_path(dir, &id, kind, path, sizeof(path)));
	make_file(path, bytes, sizeof(bytes));
	set_age(path, age);
}

/* A bit for each of the first eight files that is there. */
static unsigned there(void)
{
	struct store_list list;
	unsigned found = 0;

	CHECK(store_list(dir, &list));
	for (size_t i = 0; i < list.len; i++)
		found |= 1u << list.entries[i].id.bytes[1];
	store_list_free(&list);
	return found;
}

static void makes_room(void)
{
	char below[80];

	make_dir();
	snprintf(below, sizeof(below), "%s/ab", dir);
	store_make_dirs(below);
	put(0, STORE_DEBUG, 400);
	put(1, STORE_INDEX, 300);
	put(2, STORE_CODE, 200);
	put(3, STORE_INDEX, 100);
	CHECK_NUMBER(store_prune(dir, 150), 1);
	CHECK_NUMBER(there(), 0xd); /* the older index went, and no file */
	CHECK_NUMBER(store_trim(dir, 250), 1);
	CHECK_NUMBER(there(), 0xc); /* the file that was used before all */
	CHECK_NUMBER(store_trim(dir, 250), 0);
	CHECK_NUMBER(store_trim(dir, 0), 2);
	remove_dir();
}

static void age_note(const struct server *server, const char *name, time_t age)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/%s", server->dir, name);
	set_age(path, age);
}

static void leaves_alone_what_fails(void)
{
	struct server server, same, other;

	make_dir();
	CHECK(server_open(dir, "http://a", &server));
	CHECK(server_open(dir, "http://a", &same));
	CHECK(server_open(dir, "http://b", &other));
	for (int i = 0; i < SERVER_FAILURES; i++) {
		CHECK(!server_is_down(&server));
		server_failed(&server);
	}
	CHECK(server_is_down(&same) && !server_is_down(&other));
	age_note(&server, "failures", SERVER_PAUSE_S + 1);
	CHECK(!server_is_down(&server));
	for (int i = 0; i < 40; i++)
		server_failed(&server);
	age_note(&server, "failures", SERVER_PAUSE_MAX_S - 10);
	CHECK(server_is_down(&server));
	age_note(&server, "failures", SERVER_PAUSE_MAX_S + 1);
	CHECK(!server_is_down(&server));
	server_failed(&server);
	server_answered(&server);
	CHECK(!server_is_down(&server));
	/* A clock that was ahead must not keep a server down for years. */
	for (int i = 0; i < SERVER_FAILURES; i++)
		server_failed(&server);
	age_note(&server, "failures", -100000);
	CHECK(!server_is_down(&server));
	remove_dir();
}

static void remembers_what_is_lacking(void)
{
	struct server server;

	make_dir();
	CHECK(server_open(dir, "http://a", &server));
	CHECK(!server_lacks(&server, &one));
	server_note_lack(&server, &one, SERVER_ABSENT, "why");
	CHECK(server_lacks(&server, &one));
	age_note(&server, "ab01", SERVER_ABSENT_S + 1);
	CHECK(!server_lacks(&server, &one));
	server_note_lack(&server, &one, SERVER_BAD, "why");
	age_note(&server, "ab01", SERVER_ABSENT_S + 1);
	CHECK(server_lacks(&server, &one));
	age_note(&server, "ab01", SERVER_BAD_S + 1);
	CHECK(!server_lacks(&server, &one));
	/* What nobody can need any more goes. */
	CHECK(server_open(dir, "http://a", &server));
	CHECK(rmdir(server.dir) == 0);
	CHECK(!server_open("/nowhere", "http://a", &server));
	remove_dir();
}

static void shows_no_password(void)
{
	struct server server = { .url = "http://me:secret@host:1/a@b" };
	char name[64];

	server_name(&server, name, sizeof(name));
	CHECK_STRING(name, "http://host:1/a@b");
	server.url = "https://host/a@b";
	server_name(&server, name, sizeof(name));
	CHECK_STRING(name, "https://host/a@b");
}

static bool take(const char *path, const struct build_id *wanted)
{
	struct intake_order order = { .store = dir, .path = path,
				      .wanted = wanted };
	struct intake out;
	struct error err = { .text = "" };
	bool ok = intake(&order, &out, &err);

	CHECK(ok || err.text[0]);
	return ok;
}

/* The smallest file with a build-id, abcd, and a symbol table. */
struct tiny {
	Elf64_Ehdr header;
	Elf64_Nhdr note;
	char owner[4];
	uint8_t id[4];
	char names[28];
	Elf64_Sym symbols[1];
	Elf64_Shdr sections[4];
};

static struct tiny tiny = {
	.header = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = ET_DYN, .e_machine = EM_X86_64,
		.e_version = EV_CURRENT, .e_ehsize = sizeof(Elf64_Ehdr),
		.e_shentsize = sizeof(Elf64_Shdr), .e_shnum = 4,
		.e_shoff = offsetof(struct tiny, sections), .e_shstrndx = 1,
	},
	.note = { 4, 2, NT_GNU_BUILD_ID }, .owner = "GNU",
	.id = { 0xab, 0x01 }, .names = "\0.note\0.shstrtab\0.symtab",
	.sections = {
		[1] = { .sh_name = 7, .sh_type = SHT_STRTAB,
			.sh_offset = offsetof(struct tiny, names),
			.sh_size = sizeof(tiny.names), .sh_addralign = 1 },
		[2] = { .sh_name = 1, .sh_type = SHT_NOTE,
			.sh_flags = SHF_ALLOC,
			.sh_offset = offsetof(struct tiny, note),
			.sh_size = 20, .sh_addralign = 4 },
		[3] = { .sh_name = 17, .sh_type = SHT_SYMTAB, .sh_link = 1,
			.sh_offset = offsetof(struct tiny, symbols),
			.sh_size = sizeof(Elf64_Sym), .sh_addralign = 8,
			.sh_entsize = sizeof(Elf64_Sym) },
	},
};

static void takes_only_what_is_whole(void)
{
	const struct build_id two = { .len = 2, .bytes = { 0xab, 2 } };
	char path[80], stored[PATH_MAX];

	make_dir();
	snprintf(path, sizeof(path), "%s/file", dir);
	CHECK(store_path(dir, &one, STORE_DEBUG, stored, sizeof(stored)));
	for (size_t len = 0; len < sizeof(tiny); len++) {
		make_file(path, &tiny, len);
		CHECK(!take(path, NULL) && access(stored, F_OK) != 0);
	}
	make_file(path, &tiny, sizeof(tiny));
	CHECK(!take(path, &two) && access(stored, F_OK) != 0);
	CHECK(take(path, &one) && access(stored, F_OK) == 0);
	remove_dir();
}

/* Whatever is taken, it has the build-id that was asked for. */
static void survives_damage(void)
{
	char path[80];

	make_dir();
	snprintf(path, sizeof(path), "%s/file", dir);
	for (size_t bit = 0; bit < 8 * sizeof(tiny); bit++) {
		struct tiny damaged = tiny;

		((uint8_t *)&damaged)[bit / 8] ^= (uint8_t)(1u << bit % 8);
		make_file(path, &damaged, sizeof(damaged));
		take(path, &one);
	}
	CHECK((there() & ~2u) == 0);
	remove_dir();
}

int main(void)
{
	static const struct test tests[] = {
		{ "indexes go alone, or whatever was used least recently",
		  makes_room },
		{ "a server that fails is left alone, for longer each time",
		  leaves_alone_what_fails },
		{ "what a server has not got is remembered for its time",
		  remembers_what_is_lacking },
		{ "a server is called by its URL, without a password",
		  shows_no_password },
		{ "a file is taken when it is whole, and by its build-id",
		  takes_only_what_is_whole },
		{ "a damaged file is refused, or has the build-id all the same",
		  survives_damage },
	};

	return TEST_RUN(tests);
}
