/* The helper's file, stripped, as it is executed where its path leads nowhere.
 * Mapped with the shim and not touched before that. */
	.section .carried, "a", @progbits
	.globl carried_helper, carried_helper_end
	.hidden carried_helper, carried_helper_end
	.balign 4096
carried_helper:
	.incbin CARRIED
carried_helper_end:
	.section .note.GNU-stack, "", @progbits
