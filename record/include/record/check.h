/*
 * CHECK: an assertion that stays on in production. It guards against errors of ours; hostile
 * input can never trip one, because input is judged by status and verdict.
 */
#ifndef RECORD_CHECK_H
#define RECORD_CHECK_H

/* Prints file, line and condition to stderr and aborts. */
__attribute__((noreturn)) void check_failed(const char *file, int line, const char *condition);

#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))

#endif
