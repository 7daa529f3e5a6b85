/* The schema and every statement of the SQLite writer, on one page. */
#include "sqlite.h"

/* Ids are UUIDv7, so that what arrives goes to the right edge of `seen`
 * (docs/collector.md has the figures). An edge leads from a fingerprint to a
 * group; merging and splitting rewrite edges and are audited. Counts live with
 * the exact edge, and are kept for the group as their sum. */
const char sqlite_schema[] =
"CREATE TABLE IF NOT EXISTS grp("
"	id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
"	into_grp INTEGER, canary INTEGER NOT NULL, title TEXT NOT NULL,"
"	reason TEXT, signal TEXT NOT NULL,"
"	status TEXT NOT NULL DEFAULT 'open', note TEXT,"
"	named INTEGER NOT NULL DEFAULT 0, count INTEGER NOT NULL DEFAULT 0,"
"	first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL"
") STRICT;"
"CREATE INDEX IF NOT EXISTS grp_last ON grp(last_ms, id)"
"	WHERE into_grp IS NULL AND canary = 0;"
"CREATE INDEX IF NOT EXISTS grp_into ON grp(into_grp)"
"	WHERE into_grp IS NOT NULL;"
"CREATE TABLE IF NOT EXISTS edge("
"	id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, fp BLOB NOT NULL,"
"	grp INTEGER NOT NULL, why TEXT NOT NULL, who TEXT NOT NULL,"
"	at_ms INTEGER NOT NULL, count INTEGER NOT NULL DEFAULT 0,"
"	first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,"
"	bodies INTEGER NOT NULL DEFAULT 0, UNIQUE(kind, fp)"
") STRICT;"
"CREATE INDEX IF NOT EXISTS edge_grp ON edge(grp);"
"CREATE TABLE IF NOT EXISTS facet("
"	edge INTEGER NOT NULL, kind INTEGER NOT NULL, value TEXT NOT NULL,"
"	count INTEGER NOT NULL, first_ms INTEGER NOT NULL,"
"	last_ms INTEGER NOT NULL, PRIMARY KEY(edge, kind, value)"
") STRICT, WITHOUT ROWID;"
"CREATE TABLE IF NOT EXISTS seen("
"	id BLOB PRIMARY KEY, edge INTEGER NOT NULL"
") STRICT, WITHOUT ROWID;"
"CREATE TABLE IF NOT EXISTS report("
"	number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE,"
"	edge INTEGER NOT NULL, time_ms INTEGER NOT NULL,"
"	received_ms INTEGER NOT NULL, digest BLOB NOT NULL,"
"	size INTEGER NOT NULL, file TEXT NOT NULL, tier INTEGER NOT NULL,"
"	complete INTEGER NOT NULL, host TEXT, release TEXT, exe TEXT,"
"	state INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,"
"	not_before_ms INTEGER NOT NULL DEFAULT 0, detail TEXT,"
"	claimed INTEGER NOT NULL DEFAULT 0"
") STRICT;"
"CREATE INDEX IF NOT EXISTS report_edge ON report(edge);"
"CREATE INDEX IF NOT EXISTS report_open ON report(state, not_before_ms)"
"	WHERE state < 2;"
"CREATE TABLE IF NOT EXISTS document("
"	report INTEGER PRIMARY KEY, named INTEGER NOT NULL,"
"	json BLOB NOT NULL"
") STRICT;"
"CREATE TABLE IF NOT EXISTS wanted("
"	build_id BLOB PRIMARY KEY, path TEXT,"
"	arrivals INTEGER NOT NULL DEFAULT 0,"
"	arrived INTEGER NOT NULL DEFAULT 0, fresh INTEGER NOT NULL DEFAULT 0"
") STRICT, WITHOUT ROWID;"
"CREATE INDEX IF NOT EXISTS wanted_arrived ON wanted(arrived);"
"CREATE INDEX IF NOT EXISTS wanted_fresh ON wanted(arrived)"
"	WHERE fresh = 1;"
"CREATE TABLE IF NOT EXISTS lack("
"	build_id BLOB NOT NULL, generation INTEGER NOT NULL,"
"	later INTEGER NOT NULL, report INTEGER NOT NULL, edge INTEGER NOT NULL,"
"	frames INTEGER NOT NULL,"
"	PRIMARY KEY(build_id, generation, later, report)"
") STRICT, WITHOUT ROWID;"
"CREATE INDEX IF NOT EXISTS lack_report ON lack(report);"
"CREATE INDEX IF NOT EXISTS lack_edge ON lack(build_id, edge, frames);"
"CREATE TABLE IF NOT EXISTS audit("
"	id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, who TEXT NOT NULL,"
"	what TEXT NOT NULL"
") STRICT;"
"PRAGMA user_version = 2;";

static const char *const texts[SQL_COUNT] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_EDGE_FIND] = "SELECT id, grp, bodies FROM edge"
		" WHERE kind = ?1 AND fp = ?2",
	[SQL_EDGE_BY_ID] = "SELECT kind, fp, grp FROM edge WHERE id = ?1",
	[SQL_EDGE_ADD] = "INSERT INTO edge(kind, fp, grp, why, who, at_ms,"
		" first_ms, last_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
	[SQL_EDGE_COUNT] = "UPDATE edge SET count = count + ?2,"
		" first_ms = min(first_ms, ?3), last_ms = max(last_ms, ?4)"
		" WHERE id = ?1",
	[SQL_EDGE_BODIES] = "UPDATE edge SET bodies = max(bodies + ?2, 0)"
		" WHERE id = ?1",
	[SQL_EDGES_MOVE] = "UPDATE edge SET grp = ?2, why = ?3, who = ?4,"
		" at_ms = ?5 WHERE grp = ?1",
	[SQL_EDGE_MOVE] = "UPDATE edge SET grp = ?2, why = ?3, who = ?4,"
		" at_ms = ?5 WHERE id = ?1",
	[SQL_SEEN_ADD] = "INSERT OR IGNORE INTO seen(id, edge) VALUES(?1, ?2)",
	[SQL_SEEN_FIND] = "SELECT edge FROM seen WHERE id = ?1",
	[SQL_GROUP_ADD] = "INSERT INTO grp(name, canary, title, signal,"
		" first_ms, last_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?5)",
	[SQL_GROUP_COPY] = "INSERT INTO grp(name, canary, title, reason,"
		" signal, named, first_ms, last_ms) SELECT ?2, canary, title,"
		" reason, signal, 1, first_ms, last_ms FROM grp"
		" WHERE id = ?1",
	[SQL_GROUP_EDGES] = "SELECT count(*) FROM edge WHERE grp = ?1"
		" AND kind < 2",
	[SQL_GROUP_COUNT] = "UPDATE grp SET count = count + ?2,"
		" first_ms = min(first_ms, ?3), last_ms = max(last_ms, ?4)"
		" WHERE id = ?1",
	[SQL_GROUP_FIND] = "SELECT named, status, name FROM grp WHERE id = ?1",
	[SQL_GROUP_BY_NAME] = "SELECT coalesce(into_grp, id), canary FROM grp"
		" WHERE name = ?1",
	[SQL_GROUP_NAME] = "SELECT coalesce((SELECT t.name FROM grp AS t"
		" WHERE t.id = g.into_grp), g.name) FROM grp AS g"
		" WHERE g.id = ?1",
	[SQL_GROUP_TITLE] = "UPDATE grp SET named = ?5, title = ?2,"
		" reason = coalesce(?3, reason),"
		" signal = coalesce(?4, signal) WHERE id = ?1",
	[SQL_GROUP_REASON] = "UPDATE grp SET reason = ?2"
		" WHERE id = ?1 AND reason IS NULL",
	[SQL_GROUP_MERGED] = "UPDATE grp SET into_grp = ?2"
		" WHERE id = ?1 OR into_grp = ?1",
	[SQL_GROUP_RECOUNT] = "UPDATE grp SET (count, first_ms, last_ms) ="
		" (SELECT coalesce(sum(count), 0),"
		" coalesce(min(first_ms), grp.first_ms),"
		" coalesce(max(last_ms), grp.last_ms)"
		" FROM edge WHERE grp = ?1 AND kind < 2) WHERE id = ?1",
	[SQL_GROUP_STATUS] = "UPDATE grp SET status = ?2 WHERE id = ?1",
	[SQL_GROUP_NOTE] = "UPDATE grp SET note = ?2 WHERE id = ?1",
	[SQL_FACET_UPDATE] = "UPDATE facet SET count = count + ?4,"
		" first_ms = min(first_ms, ?5), last_ms = max(last_ms, ?6)"
		" WHERE edge = ?1 AND kind = ?2 AND value = ?3",
	[SQL_FACET_ADD] = "INSERT INTO facet(edge, kind, value, count,"
		" first_ms, last_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
	[SQL_FACET_TOTAL] = "SELECT count(*) FROM facet"
		" WHERE edge = ?1 AND kind = ?2",
	[SQL_REPORT_FIND] = "SELECT number, edge, digest, attempts, file,"
		" claimed FROM report WHERE id = ?1",
	[SQL_REPORT_ADD] = "INSERT INTO report(id, edge, time_ms, received_ms,"
		" digest, size, file, tier, complete, host, release, exe,"
		" state) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,"
		" ?11, ?12, ?13)",
	[SQL_REPORT_EDGE] = "UPDATE report SET edge = ?2 WHERE number = ?1",
	[SQL_DOCUMENT_PUT] = "INSERT OR REPLACE INTO document(report, named,"
		" json) VALUES(?1, ?2, ?3)",
	[SQL_JOB_NEXT] = "SELECT number, id, attempts, file FROM report"
		" WHERE state = 0 AND not_before_ms <= ?1"
		" ORDER BY not_before_ms LIMIT 1",
	[SQL_JOB_START] = "UPDATE report SET state = 1,"
		" attempts = attempts + 1, claimed ="
		" (SELECT coalesce(max(arrived), 0) FROM wanted)"
		" WHERE number = ?1",
	[SQL_JOB_GIVE_UP] = "UPDATE report SET state = 3, detail = ?2"
		" WHERE number = ?1",
	[SQL_JOB_FINISH] = "UPDATE report SET state = 2, detail = NULL"
		" WHERE number = ?1",
	[SQL_JOB_RETRY] = "UPDATE report SET state = 0, attempts = ?2,"
		" not_before_ms = ?3, detail = ?4 WHERE number = ?1",
	[SQL_JOB_RELEASE] = "UPDATE report SET state = 0 WHERE state = 1",
	[SQL_JOB_PENDING] = "SELECT count(*) FROM report WHERE state < 2",
	[SQL_JOB_AGAIN] = "UPDATE report SET state = 0, attempts = 0,"
		" not_before_ms = ?2 WHERE number = ?1 AND state = 2",
	[SQL_LACK_ADD] = "INSERT OR REPLACE INTO lack(build_id, generation,"
		" later, report, edge, frames) SELECT ?1,"
		" max(arrivals - (arrived > ?5), 0),"
		" EXISTS (SELECT 1 FROM lack WHERE build_id = ?1"
		"  AND edge = ?2), ?3, ?2, ?4 FROM wanted WHERE build_id = ?1",
	[SQL_LACK_DELETE] = "DELETE FROM lack WHERE report = ?1",
	[SQL_LACK_DROP] = "DELETE FROM lack WHERE report = ?2"
		" AND build_id = ?1",
	[SQL_LACK_NEXT] = "SELECT report FROM lack WHERE build_id = ?1"
		" AND generation < ?2 ORDER BY generation, later, report"
		" LIMIT ?3",
	[SQL_WANTED_ADD] = "INSERT INTO wanted(build_id, path) VALUES(?1, ?2)"
		" ON CONFLICT DO UPDATE SET path = coalesce(path, ?2)",
	[SQL_WANTED_LATE] = "UPDATE wanted SET fresh = 1 WHERE build_id = ?1"
		" AND arrived > ?2",
	[SQL_WANTED_ARRIVED] = "INSERT INTO wanted(build_id, arrivals,"
		" arrived, fresh) SELECT ?1, 1, coalesce(max(arrived), 0) + 1,"
		" 1 FROM wanted WHERE 1"
		" ON CONFLICT DO UPDATE SET arrivals = arrivals + 1,"
		" arrived = excluded.arrived, fresh = 1",
	/* One of Breakpad's files may know no more than the first 16. */
	[SQL_WANTED_ARRIVED_GUID] = "UPDATE wanted SET fresh = 1,"
		" arrivals = arrivals + 1,"
		" arrived = (SELECT max(arrived) FROM wanted)"
		" WHERE length(?1) = 16 AND length(build_id) > 16"
		" AND substr(build_id, 1, 16) = ?1",
	[SQL_WANTED_NEXT] = "SELECT build_id, arrivals FROM wanted"
		" WHERE fresh = 1 ORDER BY arrived LIMIT 1",
	[SQL_WANTED_TOLD] = "UPDATE wanted SET fresh = 0 WHERE build_id = ?1",
	[SQL_AUDIT_ADD] = "INSERT INTO audit(at_ms, who, what)"
		" VALUES(?1, ?2, ?3)",
	[SQL_CANARY_OLD] = "SELECT r.number, r.id, r.file, r.edge"
		" FROM edge AS e JOIN report AS r ON r.edge = e.id"
		" WHERE e.kind = 0 AND r.received_ms < ?1 LIMIT 100",
	[SQL_REPORTS_OLD] = "SELECT number, id, file, edge FROM report"
		" WHERE id < ?1 ORDER BY id LIMIT 100",
	[SQL_SEEN_OLD] = "DELETE FROM seen WHERE id IN"
		" (SELECT id FROM seen WHERE id < ?1 ORDER BY id LIMIT 1000)",
	[SQL_REPORT_DELETE] = "DELETE FROM report WHERE number = ?1",
	[SQL_DOCUMENT_DELETE] = "DELETE FROM document WHERE report = ?1",
	[SQL_SEEN_DELETE] = "DELETE FROM seen WHERE id = ?1",
};

const char *sqlite_sql(enum sql which)
{
	return texts[which];
}
