/* The handlers that the table of commands names, by file. Private to the commands. */
#ifndef NODED_COMMAND_HANDLERS_H
#define NODED_COMMAND_HANDLERS_H

#include "noded/command.h"

/* command_append.c */
bool command_append_args(struct command_call *call, struct reader *args);
void command_append_run(struct command_call *call);
/* command_backup.c */
bool command_backup_args(struct command_call *call, struct reader *args);
void command_backup_run(struct command_call *call);
/* command_cases.c */
bool command_case_args(struct command_call *call, struct reader *args);
void command_case_run(struct command_call *call);
bool command_cases_args(struct command_call *call, struct reader *args);
void command_cases_run(struct command_call *call);
bool command_inbox_args(struct command_call *call, struct reader *args);
void command_inbox_run(struct command_call *call);
/* command_certify.c */
bool command_certify_args(struct command_call *call, struct reader *args);
void command_certify_run(struct command_call *call);
/* command_bundle.c */
bool command_log_export_args(struct command_call *call, struct reader *args);
void command_log_export_run(struct command_call *call);
bool command_log_import_args(struct command_call *call, struct reader *args);
void command_log_import_run(struct command_call *call);
/* command_hidden.c */
bool command_unhide_args(struct command_call *call, struct reader *args);
void command_unhide_run(struct command_call *call);
/* Whether the command shows items, and they are hidden: then refused. */
bool command_is_hidden(struct command_call *call);
/* command_log.c */
bool command_log_list_args(struct command_call *call, struct reader *args);
void command_log_list_run(struct command_call *call);
bool command_log_show_args(struct command_call *call, struct reader *args);
void command_log_show_run(struct command_call *call);
void command_log_verify_run(struct command_call *call);
/* command_quarantine.c */
bool command_quarantine_number_args(struct command_call *call, struct reader *args);
void command_quarantine_list_run(struct command_call *call);
void command_quarantine_show_run(struct command_call *call);
void command_quarantine_retry_run(struct command_call *call);
void command_quarantine_drop_run(struct command_call *call);
/* command_snapshot.c */
bool command_snapshot_args(struct command_call *call, struct reader *args);
void command_snapshot_run(struct command_call *call);
/* command_status.c */
void command_status_run(struct command_call *call);
bool command_tree_args(struct command_call *call, struct reader *args);
void command_tree_run(struct command_call *call);
void command_shutdown_run(struct command_call *call);
/* command_trim.c */
bool command_trim_args(struct command_call *call, struct reader *args);
void command_trim_run(struct command_call *call);

#endif
