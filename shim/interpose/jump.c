/* siglongjmp and longjmp put back the mask that sigsetjmp saved: the kernel's,
 * in which the signals that we keep unblocked are missing. What the program has
 * blocked is then blocked no more in its eyes either, unless the other signals
 * that it had blocked with them are in what was saved. */
#include <setjmp.h>
#include <stddef.h>

#include "../preload.h"
#include "../signal/zone.h"
#include "interpose.h"

typedef void real_jump_fn(struct __jmp_buf_tag *, int);

EXPORT void siglongjmp(sigjmp_buf env, int value);
EXPORT void longjmp(jmp_buf env, int value);
EXPORT void _longjmp(jmp_buf env, int value);
EXPORT void __longjmp_chk(jmp_buf env, int value);

REAL(real_siglongjmp, "siglongjmp");
REAL(real_longjmp, "longjmp");
REAL(real_underscore_longjmp, "_longjmp");
REAL(real_longjmp_chk, "__longjmp_chk");

/* Of the layout only the last two members matter, in which musl's is the same
 * as glibc's. */
static void jump(const struct real *function, struct __jmp_buf_tag *env,
		 int value)
{
	real_jump_fn *real = (real_jump_fn *)real_address(function);
	uint64_t saved;

	if (zone.ready && atomic_load(&zone.masked) && env->__mask_was_saved) {
		zone_copy(&saved, &env->__saved_mask, sizeof(saved));
		jump_mask(saved);
	}
	real(env, value);
}

EXPORT void siglongjmp(sigjmp_buf env, int value)
{
	jump(&real_siglongjmp, env, value);
	__builtin_unreachable();
}

EXPORT void longjmp(jmp_buf env, int value)
{
	jump(&real_longjmp, env, value);
	__builtin_unreachable();
}

EXPORT void _longjmp(jmp_buf env, int value)
{
	jump(&real_underscore_longjmp, env, value);
	__builtin_unreachable();
}

EXPORT void __longjmp_chk(jmp_buf env, int value)
{
	jump(&real_longjmp_chk, env, value);
}
