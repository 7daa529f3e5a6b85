/* A DIE with all that variables, types and calls are known by, and the way to
 * those around it. dwarf/tree.h knows functions alone; this reads one DIE at a
 * time, where values are asked for. Process: one that can be lost. */
#ifndef EPITAPH_VALUES_NODE_H
#define EPITAPH_VALUES_NODE_H

#include "../dwarf/unit.h"

enum node_attr {
	NODE_ALL_CALLS, NODE_BIT_OFFSET, NODE_BIT_SIZE, NODE_BYTE_SIZE,
	NODE_CALL_TARGET, NODE_CALL_VALUE, NODE_CALLEE, NODE_CONST_VALUE,
	NODE_COUNT, NODE_DATA_BIT_OFFSET, NODE_DECLARATION, NODE_ENCODING,
	NODE_ENUM_CLASS, NODE_EXTERNAL, NODE_FRAME_BASE, NODE_HIGH,
	NODE_LANGUAGE, NODE_LINKAGE, NODE_LOCATION, NODE_LOCLISTS_BASE,
	NODE_LOW, NODE_LOWER_BOUND, NODE_MEMBER_LOCATION, NODE_NAME,
	NODE_ORIGIN, NODE_PARAMETER, NODE_RANGES, NODE_RETURN_PC,
	NODE_SIBLING, NODE_SPECIFICATION, NODE_TAIL_CALL, NODE_TYPE,
	NODE_UPPER_BOUND,
	NODE_ATTRS,
};

struct node {
	struct unit *unit;
	uint64_t offset;  /* in .debug_info */
	uint64_t next;    /* behind its attributes: of its first child, if it
	                   * has any */
	uint16_t tag;
	bool has_children;
	struct attr at[NODE_ATTRS];
	const uint8_t *blocks[NODE_ATTRS]; /* of those that are one */
};

/* The DIE at REF. False where there is none that makes sense. */
bool node_at(struct die_ref ref, struct node *out);

/* UNIT's own. */
bool node_root(struct unit *unit, struct node *out);

/* The first DIE in PARENT, and the one behind NODE and what is in that; false
 * where there is none. NODE and *OUT may be one. */
bool node_child(const struct node *parent, struct node *out);
bool node_sibling(const struct node *node, struct node *out);

/* What an attribute says. False, or NULL, where it is not there or says nothing
 * of that kind. */
bool node_number(const struct node *node, enum node_attr attr, uint64_t *out);
bool node_address(const struct node *node, enum node_attr attr, uint64_t *out);
const char *node_text(const struct node *node, enum node_attr attr);
bool node_block(const struct node *node, enum node_attr attr,
		struct reader *out);
bool node_follow(const struct node *node, enum node_attr attr,
		 struct node *out);

static inline bool node_has(const struct node *node, enum node_attr attr)
{
	return node->at[attr].form != 0;
}

/* NODE, or where it does not have ATTR, the DIE that it is an instance of, or
 * that was declared for it, and so on. False where none has it. */
bool node_with(const struct node *node, enum node_attr attr,
	       struct node *out);

/* The text of ATTR of the one that has it. */
const char *node_text_with(const struct node *node, enum node_attr attr);

/* True where NODE's own code holds the address PC. */
bool node_holds(const struct node *node, uint64_t pc);

#endif
