#include "web.h"
void page_groups(const struct query *query, struct answer *answer) { (void)query; web_error(answer, 404, "soon", ""); }
void page_group(const struct query *query, struct answer *answer) { (void)query; web_error(answer, 404, "soon", ""); }
void page_report(const struct query *query, struct answer *answer) { (void)query; web_error(answer, 404, "soon", ""); }
