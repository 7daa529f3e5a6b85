/* A small library, for calls that go through stubs. */
#ifndef EPITAPH_TESTS_ORACLE_CORPUS_LIB_H
#define EPITAPH_TESTS_ORACLE_CORPUS_LIB_H

unsigned lib_tail(unsigned a);
unsigned lib_call(unsigned (*function)(unsigned), unsigned a);
unsigned lib_chosen(unsigned a);

#endif
