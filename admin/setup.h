/*
 * Making a node's directory: keys, certificates, request, configuration (docs/ADMIN.md, "A node's
 * directory").
 */
#ifndef CTL_SETUP_H
#define CTL_SETUP_H

#include "admin/node_files.h"
#include "ctl.h"
#include "record/certificate.h"

#define SETUP_CHAIN_BYTES_MAX (CERTIFICATE_CHAIN_MAX * CERTIFICATE_BYTES_MAX + 16)
#define SETUP_ROOT_DAYS 7305 /* 20 years */
#define SETUP_DAYS_MAX 36525

/* A chain of certificates and the octets that it borrows from. Zero-initialised is empty. */
struct setup_chain {
  struct bytes octets;
  struct certificate certificates[CERTIFICATE_CHAIN_MAX];
  size_t count;
};
void setup_chain_close(struct setup_chain *chain);

/* Reads DIRECTORY/root.cert (or `path`, when not NULL) and checks that it is a root's. Says what
 * is wrong. `octets` is appended to; `root` borrows from it. */
enum ctl_exit setup_read_root(const struct ctl *ctl, const char *path, struct bytes *octets,
                              struct certificate *root);
/* Reads a chain file and checks it up to `root`. Says what is wrong. */
enum ctl_exit setup_read_chain(const struct ctl *ctl, const char *path,
                               const struct certificate *root, struct setup_chain *chain);
/* Appends a chain of already encoded certificates. */
MUST_USE enum status setup_write_chain(const struct bytes_view *certificates, size_t count,
                                       struct bytes *out);
/* Writes a file of the directory, mode 0600. Says what is wrong. */
enum ctl_exit setup_write_file(const struct ctl *ctl, const char *name, struct bytes_view octets,
                               bool replace);
/* DIRECTORY/NAME into `path`; says what is wrong. */
bool setup_path(const struct ctl *ctl, const char *name, char path[PATH_MAX]);
/* The present time for a certificate; an hour back, for clocks that lag a little. */
uint64_t setup_not_before(const struct ctl *ctl);

/* noded.yaml from the options of init, unless there is one. */
enum ctl_exit setup_write_config(const struct ctl *ctl, const struct ctl_args *args,
                                 const struct address *address);
/* Whether the config options are of a form that noded takes; says what is wrong. */
bool setup_check_config(const struct ctl *ctl, const struct ctl_args *args);

/* Handlers. */
enum ctl_exit setup_init(struct ctl *ctl, const struct ctl_args *args);
enum ctl_exit setup_certify(struct ctl *ctl, const struct ctl_args *args);

#endif
