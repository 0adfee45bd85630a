/*
 * msgpack to JSON for --json: octets as lower-case hex, integers exactly (what a double or
 * cJSON's printing would round is written digit by digit), everything in full.
 */
#ifndef CTL_JSON_H
#define CTL_JSON_H

#include <cjson/cJSON.h>
#include <msgpack/object.h>
#include <stdbool.h>
#include <stdio.h>

/* NULL when memory is out; the caller deletes it. */
cJSON *json_of(const msgpack_object *object);
/* Number of any 64 bits. */
cJSON *json_of_uint(uint64_t value);
/* One line; NULL prints nothing. Deletes `json`. False when memory is out. */
bool json_print(FILE *out, cJSON *json);
/* {"status":..., "reason":...}: what --json prints instead of a result. */
void json_print_failure(FILE *out, const char *status, const char *reason);

#endif
