/* Functions of asm.S. Each calls CALLBACK once, but the leaves. */
#ifndef EPITAPH_TESTS_ORACLE_CORPUS_ASM_H
#define EPITAPH_TESTS_ORACLE_CORPUS_ASM_H

typedef unsigned long callback_t(unsigned long);

unsigned long asm_plain(callback_t *callback, unsigned long n);
unsigned long asm_frame(callback_t *callback, unsigned long n);
unsigned long asm_pushes(callback_t *callback, unsigned long n);
unsigned long asm_realigned(callback_t *callback, unsigned long n);
unsigned long asm_other_base(callback_t *callback, unsigned long n);
unsigned long asm_tail(callback_t *callback, unsigned long n);
unsigned long asm_middle_return(callback_t *callback, unsigned long n);
unsigned long asm_leaf(unsigned long n);
unsigned long asm_leaf_pushes(unsigned long n);
void asm_bad_call(void);
void asm_bad_jump(void);

#endif
